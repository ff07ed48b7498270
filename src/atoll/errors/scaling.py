"""Errors of Application Auto Scaling. Texts that are marked as assumed are not published."""

from __future__ import annotations

from atoll.errors import ApiError, resource_not_found


def _error(code: str, message: str) -> ApiError:
    return ApiError(code, message, prefix="")


def _invalid(message: str) -> ApiError:
    return _error("ValidationException", message)


def internal() -> ApiError:
    return ApiError("InternalServiceException", "Internal service error", status=500, prefix="")


# Targets


def unsupported_dimension() -> ApiError:
    return _invalid("Unsupported service namespace, resource type or scalable dimension")


def table_missing(resource: str) -> ApiError:
    return _invalid(f"DynamoDB table does not exist: {resource}")


def index_missing(resource: str) -> ApiError:
    return _invalid(f"DynamoDB index does not exist: {resource}")


def bounds_required() -> ApiError:
    """The text is assumed."""
    return _invalid("Both minimum capacity and maximum capacity must be specified to register a new scalable target")


def bounds_reversed() -> ApiError:
    return _invalid("Maximum capacity cannot be less than minimum capacity")


def minimum_too_low() -> ApiError:
    """The text is assumed."""
    return _invalid("Minimum capacity cannot be less than 1")


def tags_of_existing_target() -> ApiError:
    return _invalid(
        "The scalable target that you tried to tag already exists. To update tags on an existing scalable target, use "
        "the TagResource API."
    )


def too_many_targets(limit: int) -> ApiError:
    """The text is assumed."""
    return _error("LimitExceededException", f"The maximum number of scalable targets ({limit}) is reached")


def not_registered(resource: str, dimension: str) -> ApiError:
    return _error(
        "ObjectNotFoundException",
        f"No scalable target registered for service namespace: dynamodb, resource ID: {resource}, scalable dimension: "
        f"{dimension}",
    )


def _not_found(what: str, resource: str, dimension: str, more: str = "") -> ApiError:
    return _error(
        "ObjectNotFoundException",
        f"No {what} found for service namespace: dynamodb, resource ID: {resource}, scalable dimension: "
        f"{dimension}{more}",
    )


def target_not_found(resource: str, dimension: str) -> ApiError:
    return _not_found("scalable target", resource, dimension)


def policy_not_found(resource: str, dimension: str, name: str) -> ApiError:
    return _not_found("scaling policy", resource, dimension, f", policy name: {name}")


def action_not_found(resource: str, dimension: str, name: str) -> ApiError:
    return _not_found("scheduled action", resource, dimension, f", scheduled action name: {name}")


def dimension_without_resource() -> ApiError:
    """The text is assumed."""
    return _invalid("A resource ID must be specified with a scalable dimension")


def invalid_next_token() -> ApiError:
    """The text is assumed."""
    return _error("InvalidNextTokenException", "Invalid pagination token")


# Policies


def policy_type_unsupported(kind: str) -> ApiError:
    """The text is assumed."""
    return _invalid(f"Policy type {kind} is not supported for service namespace: dynamodb")


def policy_type_fixed(kind: str) -> ApiError:
    """The text is assumed."""
    return _invalid(f"The policy type of an existing policy cannot be changed to {kind}")


def configuration_required() -> ApiError:
    """The text is assumed."""
    return _invalid("Target tracking scaling policies require TargetTrackingScalingPolicyConfiguration")


def other_configuration(member: str) -> ApiError:
    """The text is assumed."""
    return _invalid(f"{member} does not belong to a target tracking scaling policy")


def one_metric_required() -> ApiError:
    """The text is assumed."""
    return _invalid(
        "Exactly one of PredefinedMetricSpecification and CustomizedMetricSpecification must be specified for target "
        "tracking scaling"
    )


def metric_unfit(metric: str, dimension: str) -> ApiError:
    """The text is assumed."""
    return _invalid(f"Predefined metric type {metric} is not supported for scalable dimension: {dimension}")


def resource_label_unfit() -> ApiError:
    """The text is assumed."""
    return _invalid("A resource label is only allowed for predefined metrics of load balancers")


def metric_math_unsupported() -> ApiError:
    """The text is assumed."""
    return _invalid("Metric math is not supported for service namespace: dynamodb")


def customized_metric_incomplete() -> ApiError:
    """The text is assumed."""
    return _invalid("A customized metric needs a metric name, a namespace and a statistic")


def customized_metric_too_long() -> ApiError:
    """The text is assumed."""
    return _invalid("A customized metric has at most 30 dimensions, and names and values of at most 255 characters")


def duplicate_metric() -> ApiError:
    """The text is assumed."""
    return _invalid("Only one TargetTrackingScaling policy for a given metric specification is allowed.")


def predefined_target_value(metric: str, least: float, most: float, given: str) -> ApiError:
    return _invalid(
        f"For predefined metric type {metric}, target value must be between '{least}' and '{most}', but was '{given}'."
    )


def target_value(given: str) -> ApiError:
    return _invalid(
        "For target tracking scaling, target value must be between '8.51592E-109' and '1.174271E108', but was "
        f"'{given}'."
    )


def too_many_policies(limit: int) -> ApiError:
    """The text is assumed."""
    return _error("LimitExceededException", f"The maximum number of scaling policies ({limit}) per target is reached")


def no_forecast() -> ApiError:
    """The text is assumed."""
    return _invalid("Predictive scaling is not supported for service namespace: dynamodb")


# Scheduled actions


def schedule_required() -> ApiError:
    """The text is assumed."""
    return _invalid("A schedule must be specified for a new scheduled action")


def schedule_invalid(schedule: str) -> ApiError:
    """The text is assumed."""
    return _invalid(f"Invalid schedule expression: {schedule}")


def zone_unknown(zone: str) -> ApiError:
    """The text is assumed."""
    return _invalid(f"Invalid time zone: {zone}")


def schedule_in_past() -> ApiError:
    """The text is assumed."""
    return _invalid("The schedule of a one-time scheduled action must be in the future")


def end_before_start() -> ApiError:
    """The text is assumed."""
    return _invalid("The end time must be later than the start time")


def end_in_past() -> ApiError:
    """The text is assumed."""
    return _invalid("The end time must be in the future")


def target_action_required() -> ApiError:
    """The text is assumed."""
    return _invalid("A scalable target action with a minimum or a maximum capacity must be specified")


def too_many_actions(limit: int) -> ApiError:
    """The text is assumed."""
    return _error("LimitExceededException", f"The maximum number of scheduled actions ({limit}) per target is reached")


# Tags


def resource_not_tagged(arn: str) -> ApiError:
    error = resource_not_found(f"The specified resource doesn't exist: {arn}")
    error.prefix = ""
    error.fields = {"ResourceName": arn}
    return error


def too_many_tags(arn: str) -> ApiError:
    error = _error("TooManyTagsException", "The number of tags exceeds the limit of 50")
    error.fields = {"ResourceName": arn}
    return error


def reserved_tag(key: str) -> ApiError:
    """The text is assumed."""
    return _invalid(f"Tag keys that begin with aws: are reserved: {key}")
