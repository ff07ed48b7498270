"""Errors of CloudWatch's operations on metrics.

A path of a list's member is written as the query protocol writes it (`MetricData.member.1`), in every protocol."""

from __future__ import annotations

from collections.abc import Sequence

from atoll.errors import VALIDATE, ApiError

CLOUDWATCH = "com.amazonaws.cloudwatch.v2010_08_01#"


def invalid(message: str) -> ApiError:
    return ApiError("ValidationException", message, prefix=VALIDATE)


def invalid_value(message: str) -> ApiError:
    return ApiError("InvalidParameterValueException", message, prefix=CLOUDWATCH)


def invalid_combination(message: str) -> ApiError:
    return ApiError("InvalidParameterCombinationException", message, prefix=CLOUDWATCH)


def missing(name: str) -> ApiError:
    return ApiError("MissingRequiredParameterException", f"The parameter {name} is required.", prefix=CLOUDWATCH)


def internal() -> ApiError:
    return ApiError("InternalServiceFault", "Internal service fault", status=500, prefix=CLOUDWATCH)


def invalid_token() -> ApiError:
    return ApiError("InvalidNextToken", "The provided token is invalid.", prefix=CLOUDWATCH)


def invalid_insight_period() -> ApiError:
    return invalid_value("The parameter Period must be a multiple of 60.")


def out_of_bounds(name: str, least: int, most: int) -> ApiError:
    return invalid_value(f"The parameter {name} must be between {least} and {most}.")


def unknown_choice(name: str, known: Sequence[str]) -> ApiError:
    return invalid_value(f"The parameter {name} must be one of: {', '.join(known)}.")


def unknown_insight_rule(name: str) -> ApiError:
    return ApiError("ResourceNotFoundException", f"The rule {name} does not exist.", status=404, prefix=CLOUDWATCH)


def start_not_before_end() -> ApiError:
    return invalid_value("The parameter StartTime must be less than the parameter EndTime.")


def time_out_of_range(name: str) -> ApiError:
    return invalid_value(f"The parameter {name} is out of range.")


def too_many_datapoints(asked: int, most: int) -> ApiError:
    return invalid_combination(
        f"You have requested up to {asked} datapoints, which exceeds the limit of {most}. You may reduce the "
        "datapoints requested by increasing Period, or decreasing the time range."
    )


def invalid_period(name: str = "Period") -> ApiError:
    return invalid_value(f"The parameter {name} must be 1, 5, 10, 20, 30 or a multiple of 60.")


def no_statistics() -> ApiError:
    return invalid_combination("At least one of the parameters Statistics and ExtendedStatistics must be specified.")


def unknown_statistic(value: str, name: str) -> ApiError:
    return invalid_value(f"The value {value} for parameter {name} is not supported.")


# PutMetricData


def exclusive(first: str, second: str) -> ApiError:
    return invalid_combination(
        f"The parameters {first} and {second} are mutually exclusive and you have specified both."
    )


def unequal_counts(values: str, counts: str) -> ApiError:
    return invalid_value(f"The parameters {values} and {counts} must be of the same size.")


def no_value(datum: str) -> ApiError:
    return invalid_combination(
        f"At least one of the parameters {datum}.Value, {datum}.Values and {datum}.StatisticValues must be specified."
    )


def too_many(name: str, most: int) -> ApiError:
    return invalid_value(f"The collection {name} must not have a size greater than {most}.")


def not_finite(name: str) -> ApiError:
    return invalid_value(f"The value NaN or Infinity for parameter {name} is invalid.")


def value_out_of_range(name: str) -> ApiError:
    return invalid_value(f"The parameter {name} must be between -2^360 and 2^360.")


def negative_count(name: str) -> ApiError:
    return invalid_value(f"The parameter {name} must not be negative.")


def minimum_above_maximum(name: str) -> ApiError:
    return invalid_combination(f"The parameter {name}.Minimum must be less than or equal to {name}.Maximum.")


def resolution(name: str) -> ApiError:
    return invalid_value(f"The parameter {name} must be 1 or 60.")


def timestamp_too_old(name: str) -> ApiError:
    return invalid_value(f"The parameter {name} must specify a time no more than two weeks in the past.")


def timestamp_in_future(name: str) -> ApiError:
    return invalid_value(f"The parameter {name} must specify a time no more than two hours in the future.")


def reserved_namespace(namespace: str) -> ApiError:
    return invalid_value(f'The value "{namespace}" for parameter Namespace must not start with "AWS/".')


def duplicate_dimension(name: str) -> ApiError:
    return invalid_value(f"The dimension {name} is given more than once.")


# GetMetricData


def invalid_id(value: str, name: str) -> ApiError:
    return invalid(f'The value "{value}" for parameter {name} is not matching expected pattern ^[a-z][a-zA-Z0-9_]*$.')


def ids_not_unique() -> ApiError:
    return invalid("The values for parameter id in MetricDataQueries are not unique.")


def not_one_of(first: str, second: str) -> ApiError:
    return invalid(f"Exactly one of the parameters {first} and {second} must be specified.")


def nothing_to_return() -> ApiError:
    return invalid("At least one element in MetricDataQueries must return data.")


def search_too_long(most: int) -> ApiError:
    return invalid(f"The search expression must not have more than {most} characters.")


def bad_timezone() -> ApiError:
    return invalid("The value for parameter LabelOptions.Timezone is invalid.")
