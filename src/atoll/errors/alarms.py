"""Errors of CloudWatch's alarms.

A path of a list's member is written as the query protocol writes it (`AlarmActions.member.1`), in every protocol."""

from __future__ import annotations

from collections.abc import Sequence

from atoll import limits
from atoll.errors import ApiError
from atoll.errors.metrics import CLOUDWATCH, invalid, invalid_combination, invalid_value


def unknown_alarm() -> ApiError:
    """SetAlarmState has no message for it."""
    return ApiError("ResourceNotFound", None, status=404, prefix=CLOUDWATCH)


def unknown_resource(arn: str) -> ApiError:
    return ApiError("ResourceNotFoundException", f"Unknown: {arn}", status=404, prefix=CLOUDWATCH)


def invalid_resource(arn: str) -> ApiError:
    return invalid_value(f"Invalid Resource ARN: {arn}")


def too_many_tags() -> ApiError:
    return invalid_value(f"A resource may have at most {limits.TAGS} tags.")


def reserved_tag() -> ApiError:
    return invalid_value("aws: prefixed tag key names are not allowed for external use.")


def too_many_alarms() -> ApiError:
    return ApiError("LimitExceededFault", f"The maximum number of alarms is {limits.ALARMS}.", prefix=CLOUDWATCH)


def invalid_arn(text: str) -> ApiError:
    return invalid(f"Invalid arn syntax: {text}")


def foreign_region(region: str, own: str) -> ApiError:
    return invalid(f"Invalid region {region} specified. Only {own} is supported.")


def reason_data_not_json() -> ApiError:
    return ApiError("InvalidFormatFault", "stateReasonData is not valid JSON", prefix=CLOUDWATCH)


# PutMetricAlarm


def period_invalid() -> ApiError:
    return invalid_value("Period must be 10, 20, 30 or a multiple of 60")


def span_too_long(period_s: int) -> ApiError:
    if period_s < 3600:
        return invalid(
            "Metrics cannot be checked across more than a day "
            f"(EvaluationPeriods * Period must be <= {limits.ALARM_SPAN_SECONDS})."
        )
    return invalid(
        "Metrics cannot be checked across more than a week "
        f"(EvaluationPeriods * Period must be <= {limits.ALARM_LONG_SPAN_SECONDS})."
    )


def too_many_datapoints_to_alarm() -> ApiError:
    return invalid("DatapointsToAlarm must be less than or equal to EvaluationPeriods")


def missing_data_treatment(value: str) -> ApiError:
    return invalid_value(
        f"The value {value} is not supported for TreatMissingData parameter. "
        "Supported values are [breaching, notBreaching, ignore, missing]."
    )


def low_sample_count_option(value: str) -> ApiError:
    return invalid_value(
        f"Option {value} is not supported. Supported options for parameter EvaluateLowSampleCountPercentile are "
        "evaluate and ignore."
    )


def low_sample_count_without_percentile() -> ApiError:
    return invalid_combination(
        "The parameter EvaluateLowSampleCountPercentile is only supported with a percentile as ExtendedStatistic"
    )


def statistic_unsupported(name: str, parameter: str = "ExtendedStatistic") -> ApiError:
    return invalid_value(f"The value {name} for parameter {parameter} is not supported.")


def threshold_not_finite() -> ApiError:
    return invalid_value("The value NaN or Infinity for parameter Threshold is invalid.")


# PutCompositeAlarm


def rule_invalid(token: str) -> ApiError:
    found = f"'{token}'" if token else "end"
    return invalid(f"AlarmRule is invalid: unexpected {found}")


def rule_too_large() -> ApiError:
    return invalid(
        f"AlarmRule may name at most {limits.COMPOSITE_CHILDREN} alarms, and have at most {limits.COMPOSITE_ELEMENTS} "
        "functions and operators."
    )


def rule_of_itself() -> ApiError:
    return invalid("AlarmRule must not name the alarm itself")


def unknown_children(arns: Sequence[str]) -> ApiError:
    return invalid(f"Could not save the composite alarm as alarms [{', '.join(arns)}] in the alarm rule do not exist")


def unknown_suppressor(arn: str) -> ApiError:
    return invalid(f"Could not save the composite alarm as the suppressor alarm {arn} does not exist")


def suppressor_of_itself() -> ApiError:
    return invalid("ActionsSuppressor must not name the alarm itself")


def period_without_suppressor(name: str) -> ApiError:
    return invalid(f"{name} needs an ActionsSuppressor")


def suppressor_period_negative(name: str) -> ApiError:
    return invalid_value(f"The parameter {name} must not be negative.")


def scales(arn: str) -> ApiError:
    return invalid(f"A composite alarm cannot have the action {arn}")


def other_type(name: str) -> ApiError:
    return invalid(f"{name} is an alarm of the other type: metric alarms and composite alarms share their names")


# Metric math


def metrics_invalid(detail: str) -> ApiError:
    return invalid(detail)


def not_one_returned() -> ApiError:
    return invalid("Exactly one element of the metrics list should return data.")


def too_many_metrics() -> ApiError:
    return invalid(f"The metrics list may contain at most {limits.ALARM_METRICS} metrics.")


def search_unsupported() -> ApiError:
    return invalid("SEARCH is not supported on Metric Alarms.")


def different_periods() -> ApiError:
    return invalid("All metrics of the metrics list must have the same period.")


def id_invalid(id: str) -> ApiError:
    return invalid(
        f"The value {id} for parameter Metrics.member.Id is invalid: an id begins with a lower-case letter and has "
        "only letters, digits and underscores."
    )


def id_repeated(id: str) -> ApiError:
    return invalid(f"The id {id} is given more than once in the metrics list.")


def neither_metric_nor_expression(id: str) -> ApiError:
    return invalid(f"The element {id} of the metrics list must have exactly one of MetricStat and Expression.")


# Features that Atoll lacks


def unsupported(what: str) -> ApiError:
    return invalid(f"Atoll does not support {what}")
