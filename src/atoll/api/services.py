"""A table of all operations of all services, one row each.

A row has the operation's service, its name, the function that runs it, the resources that a request touches and, for
REST services, its place in HTTP. A service has its protocols, the name of its botocore model (which has the shapes of
the requests) and its signing name.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from functools import partial
from typing import Any, Final

import orjson

from atoll import errors
from atoll.api import (
    account,
    admin,
    alarms,
    background,
    backups,
    bulk,
    exports,
    faults,
    functions,
    global_tables,
    imports,
    insights,
    items,
    kinesis,
    links,
    masters,
    metric_data,
    metrics,
    multi,
    policies,
    queries,
    recovery,
    replication,
    resource_policies,
    resources,
    restores,
    search,
    search_members,
    shapes,
    storage,
    streams,
    sts,
    tables,
    tags,
    ttl,
)
from atoll.api.global_table_settings import describe_global_table_settings, update_global_table_settings
from atoll.api.partiql.batch import batch_execute_statement
from atoll.api.partiql.statement import execute_statement
from atoll.api.partiql.transaction import execute_transaction
from atoll.api.replica_auto_scaling import (
    describe_table_replica_auto_scaling,
    update_table_replica_auto_scaling,
)
from atoll.api.resources import (
    ALARM,
    BATCH,
    FUNCTION,
    GET_RECORDS,
    GET_TRANSACTION,
    GLOBAL_TABLE,
    IMPORT,
    INDEX,
    INSIGHT_RULE,
    JOB,
    MAPPING,
    NEW_MAPPING,
    NOTHING,
    RESTORE,
    ROLE,
    SCALED,
    STATEMENT,
    STATEMENT_BATCH,
    STATEMENT_TRANSACTION,
    STREAM,
    TABLE,
    TABLE_ARN,
    TAGGED,
    WRITE_TRANSACTION,
    Touches,
)
from atoll.api.scaling import actions as scaling_actions
from atoll.api.scaling import activities as scaling_activities
from atoll.api.scaling import policies as scaling_policies
from atoll.api.scaling import targets as scaling_targets
from atoll.capacity.meter import other_service
from atoll.errors import ApiError
from atoll.errors import metrics as metric_errors
from atoll.errors import scaling as scaling_errors
from atoll.errors import triggers as trigger_errors

Body = dict[str, Any]
Function = Callable[[Any, Body], Awaitable[Any]]

REGION: Final = "region"
TRIGGERS: Final = "triggers"
SERVER: Final = "server"
IDENTITIES: Final = "identities"
"""The first argument of an operation's function: the request's region, its triggers, the whole server, or its caller
(`sts.Request`)."""


class Protocol(Enum):
    JSON_1_0 = auto()
    JSON_1_1 = auto()
    REST_JSON = auto()
    QUERY = auto()
    CBOR = auto()


@dataclass(frozen=True, eq=False)
class Service:
    name: str
    model: str | None
    """botocore's name of the model; None if the service has no shapes."""
    protocols: tuple[Protocol, ...]
    signing_name: str
    subject: str
    target: str = ""
    """The first half of X-Amz-Target, for services that speak JSON."""
    prefix: str = ""
    """The path prefix of a REST service."""
    has_tables: bool = False
    """Whether the resources of its operations are tables and their parts."""
    bare_codes: bool = False
    """Whether error codes are sent without a prefix."""
    shape_code: str = "ValidationException"
    """The code of shape errors."""
    internal: Callable[[], ApiError] = errors.internal
    """The answer to an internal failure."""


JSON = (Protocol.JSON_1_0, Protocol.JSON_1_1)
DYNAMODB = Service("DynamoDB", "dynamodb", JSON, "dynamodb", REGION, target="DynamoDB_20120810",
                   has_tables=True)  # fmt: skip
STREAMS = Service("DynamoDBStreams", "dynamodbstreams", JSON, "dynamodb", REGION, target="DynamoDBStreams_20120810",
                  has_tables=True)  # fmt: skip
LAMBDA = Service(
    "Lambda", "lambda", (Protocol.REST_JSON,), "lambda", TRIGGERS,
    prefix="/2015-03-31/", bare_codes=True, internal=trigger_errors.internal,
)  # fmt: skip
STS = Service("STS", "sts", (Protocol.QUERY,), "sts", IDENTITIES, bare_codes=True, shape_code="ValidationError")
CLOUDWATCH = Service(
    "CloudWatch", "cloudwatch", (Protocol.JSON_1_0, Protocol.QUERY, Protocol.CBOR), "monitoring", REGION,
    target="GraniteServiceVersion20100801", internal=metric_errors.internal,
)  # fmt: skip
SCALING = Service(
    "ApplicationAutoScaling", "application-autoscaling", (Protocol.JSON_1_1,), "application-autoscaling", REGION,
    target="AnyScaleFrontendService", bare_codes=True, internal=scaling_errors.internal,
)  # fmt: skip
ADMIN = Service("Administration", None, (Protocol.REST_JSON,), "dynamodb", SERVER, prefix="/_atoll/", has_tables=True)


@dataclass(frozen=True)
class Http:
    """An operation's place in HTTP. All other members are in the body, or in the query if there is no body."""

    method: str
    path: str
    """Below the service's prefix; `{Member}` is a member of the request."""
    status: int = 200
    payload: str | None = None
    """The member of request and answer that is the whole body, as bytes."""
    status_member: str | None = None
    """The member of the answer that is its status."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """The request's members in headers."""
    answer_headers: Mapping[str, str] = field(default_factory=dict)
    """The answer's members in headers."""


class Operation:
    """One row. The validator of its requests is compiled on first use."""

    __slots__ = (
        "check", "check_members", "counted_as", "encode", "function", "http", "layer", "metered", "name", "service",
        "subject", "touches",
    )  # fmt: skip

    def __init__(
        self,
        service: Service,
        name: str,
        function: Function,
        touches: Touches = NOTHING,
        http: Http | None = None,
        *,
        layer: errors.Layer = errors.Layer.OLDER,
        encode: Callable[[Any], bytes] = orjson.dumps,
        check_members: Callable[[Body], None] | None = None,
    ) -> None:
        self.service = service
        self.subject = service.subject
        self.name = name
        self.function = function
        self.touches = touches
        self.metered = service.subject in (REGION, TRIGGERS)
        """Whether its subject has a meter: that of a region."""
        self.counted_as = name if service.has_tables else other_service(service.name, name)
        """Its name in the meter."""
        self.http = http
        self.encode = encode
        """The body of an answer."""
        self.layer = layer
        """Which wording the errors have since 2026 (`--error-style 2026`)."""
        self.check_members = check_members
        """Checks before the shape, with texts of its own."""
        self.check: Callable[[Body], None] = self._first_check
        """Raises if a request does not have the operation's shape."""

    def __repr__(self) -> str:
        return f"{self.service.name}.{self.name}"

    def _first_check(self, body: Body) -> None:
        self.check = self._compiled()
        self.check(body)

    def _compiled(self) -> Callable[[Body], None]:
        if self.service.model is None:
            return _unchecked
        validate = shapes.validator(self.service.model, self.name)
        if self.check_members is not None:
            return partial(_check_both, self.check_members, validate)
        if not self.service.bare_codes:
            return validate
        payload = None if self.http is None else self.http.payload

        def check(body: Body) -> None:
            try:
                # A raw payload has no shape to check.
                validate(body if payload is None else {name: body[name] for name in body if name != payload})
            except ApiError as error:
                code = self.service.shape_code if error.code == "ValidationException" else error.code
                raise ApiError(code, error.message, status=error.status, prefix="") from None

        return check


def _without_body(answer: Any) -> bytes:
    """The encoding of operations without an output: their answers have no body at all."""
    return b""


def _check_both(first: Callable[[Body], None], second: Callable[[Body], None], body: Body) -> None:
    first(body)
    second(body)


def _unchecked(body: Body) -> None:
    """The validator of operations that check their requests themselves."""


_MAPPINGS, _MAPPING = "event-source-mappings", "event-source-mappings/{UUID}"
_FUNCTION = "functions/{FunctionName}"

READS, WRITES = errors.Layer.READS, errors.Layer.WRITES

OPERATIONS: tuple[Operation, ...] = (
    Operation(DYNAMODB, "GetItem", items.get_item, TABLE, layer=READS),
    Operation(DYNAMODB, "PutItem", items.put_item, TABLE, layer=WRITES),
    Operation(DYNAMODB, "UpdateItem", items.update_item, TABLE, layer=WRITES),
    Operation(DYNAMODB, "DeleteItem", items.delete_item, TABLE, layer=WRITES),
    Operation(DYNAMODB, "Query", queries.query, INDEX, layer=READS),
    Operation(DYNAMODB, "Scan", queries.scan, INDEX),
    Operation(DYNAMODB, "SearchVectors", search.search_vectors, INDEX, check_members=search_members.check),
    Operation(DYNAMODB, "BatchGetItem", multi.batch_get_item, BATCH, layer=READS),
    Operation(DYNAMODB, "BatchWriteItem", multi.batch_write_item, BATCH),
    Operation(DYNAMODB, "TransactGetItems", multi.transact_get_items, GET_TRANSACTION),
    Operation(DYNAMODB, "TransactWriteItems", multi.transact_write_items, WRITE_TRANSACTION),
    Operation(DYNAMODB, "ExecuteStatement", execute_statement, STATEMENT),
    Operation(DYNAMODB, "BatchExecuteStatement", batch_execute_statement, STATEMENT_BATCH),
    Operation(DYNAMODB, "ExecuteTransaction", execute_transaction, STATEMENT_TRANSACTION),
    Operation(DYNAMODB, "CreateTable", tables.create_table, TABLE),
    Operation(DYNAMODB, "DescribeTable", tables.describe_table, TABLE),
    Operation(DYNAMODB, "ListTables", tables.list_tables),
    Operation(DYNAMODB, "UpdateTable", tables.update_table, TABLE),
    Operation(DYNAMODB, "DeleteTable", tables.delete_table, TABLE),
    Operation(DYNAMODB, "TagResource", tags.tag_resource, TAGGED, encode=_without_body),
    Operation(DYNAMODB, "UntagResource", tags.untag_resource, TAGGED, encode=_without_body),
    Operation(DYNAMODB, "ListTagsOfResource", tags.list_tags_of_resource, TAGGED),
    Operation(DYNAMODB, "UpdateTimeToLive", ttl.update_time_to_live, TABLE),
    Operation(DYNAMODB, "DescribeTimeToLive", ttl.describe_time_to_live, TABLE),
    Operation(DYNAMODB, "DescribeLimits", account.describe_limits),
    Operation(DYNAMODB, "DescribeEndpoints", account.describe_endpoints),
    Operation(DYNAMODB, "DescribeContinuousBackups", recovery.describe_continuous_backups, TABLE),
    Operation(DYNAMODB, "UpdateContinuousBackups", recovery.update_continuous_backups, TABLE),
    Operation(DYNAMODB, "CreateBackup", backups.create_backup, TABLE),
    Operation(DYNAMODB, "ListBackups", backups.list_backups, TABLE),
    Operation(DYNAMODB, "DescribeBackup", backups.describe_backup, JOB),
    Operation(DYNAMODB, "DeleteBackup", backups.delete_backup, JOB),
    Operation(DYNAMODB, "RestoreTableFromBackup", restores.restore_table_from_backup, RESTORE),
    Operation(DYNAMODB, "RestoreTableToPointInTime", restores.restore_table_to_point_in_time, RESTORE),
    Operation(DYNAMODB, "ExportTableToPointInTime", exports.export_table_to_point_in_time, TABLE_ARN),
    Operation(DYNAMODB, "ListExports", exports.list_exports, TABLE_ARN),
    Operation(DYNAMODB, "DescribeExport", exports.describe_export, JOB),
    Operation(DYNAMODB, "ImportTable", imports.import_table, IMPORT),
    Operation(DYNAMODB, "ListImports", imports.list_imports, TABLE_ARN),
    Operation(DYNAMODB, "DescribeImport", imports.describe_import, JOB),
    Operation(DYNAMODB, "StartBulkPutItems", bulk.start_bulk_put_items, TABLE),
    Operation(DYNAMODB, "DescribeBulkOperation", bulk.describe_bulk_operation, JOB),
    Operation(DYNAMODB, "ListBulkOperations", bulk.list_bulk_operations),
    Operation(DYNAMODB, "CancelBulkOperation", bulk.cancel_bulk_operation, JOB),
    Operation(DYNAMODB, "ListGlobalTables", global_tables.list_global_tables),
    Operation(DYNAMODB, "DescribeGlobalTable", global_tables.describe_global_table, GLOBAL_TABLE),
    Operation(DYNAMODB, "CreateGlobalTable", global_tables.create_global_table, GLOBAL_TABLE),
    Operation(DYNAMODB, "UpdateGlobalTable", global_tables.update_global_table, GLOBAL_TABLE),
    Operation(DYNAMODB, "DescribeGlobalTableSettings", describe_global_table_settings, GLOBAL_TABLE),
    Operation(DYNAMODB, "UpdateGlobalTableSettings", update_global_table_settings, GLOBAL_TABLE),
    Operation(DYNAMODB, "DescribeTableReplicaAutoScaling", describe_table_replica_auto_scaling, TABLE),
    Operation(DYNAMODB, "UpdateTableReplicaAutoScaling", update_table_replica_auto_scaling, TABLE),
    Operation(DYNAMODB, "DescribeContributorInsights", insights.describe_contributor_insights, TABLE),
    Operation(DYNAMODB, "UpdateContributorInsights", insights.update_contributor_insights, TABLE),
    Operation(DYNAMODB, "ListContributorInsights", insights.list_contributor_insights, TABLE),
    Operation(DYNAMODB, "DescribeKinesisStreamingDestination", kinesis.describe_kinesis_streaming_destination, TABLE),
    Operation(DYNAMODB, "EnableKinesisStreamingDestination", kinesis.enable_kinesis_streaming_destination, TABLE),
    Operation(DYNAMODB, "DisableKinesisStreamingDestination", kinesis.disable_kinesis_streaming_destination, TABLE),
    Operation(DYNAMODB, "UpdateKinesisStreamingDestination", kinesis.update_kinesis_streaming_destination, TABLE),
    Operation(DYNAMODB, "PutResourcePolicy", resource_policies.put_resource_policy, TAGGED),
    Operation(DYNAMODB, "GetResourcePolicy", resource_policies.get_resource_policy, TAGGED),
    Operation(DYNAMODB, "DeleteResourcePolicy", resource_policies.delete_resource_policy, TAGGED),
    #
    Operation(STREAMS, "ListStreams", streams.list_streams, TABLE),
    Operation(STREAMS, "DescribeStream", streams.describe_stream, STREAM),
    Operation(STREAMS, "GetShardIterator", streams.get_shard_iterator, STREAM),
    Operation(STREAMS, "GetRecords", streams.get_records, GET_RECORDS),
    #
    Operation(LAMBDA, "CreateEventSourceMapping", functions.create_event_source_mapping, NEW_MAPPING,
              Http("POST", _MAPPINGS, 202)),
    Operation(LAMBDA, "ListEventSourceMappings", functions.list_event_source_mappings, NEW_MAPPING,
              Http("GET", _MAPPINGS)),
    Operation(LAMBDA, "GetEventSourceMapping", functions.get_event_source_mapping, MAPPING, Http("GET", _MAPPING)),
    Operation(LAMBDA, "UpdateEventSourceMapping", functions.update_event_source_mapping, MAPPING,
              Http("PUT", _MAPPING, 202)),
    Operation(LAMBDA, "DeleteEventSourceMapping", functions.delete_event_source_mapping, MAPPING,
              Http("DELETE", _MAPPING, 202)),
    Operation(LAMBDA, "ListFunctions", functions.list_functions, NOTHING, Http("GET", "functions")),
    Operation(LAMBDA, "GetFunction", functions.get_function, FUNCTION, Http("GET", _FUNCTION)),
    Operation(LAMBDA, "GetFunctionConfiguration", functions.get_function_configuration, FUNCTION,
              Http("GET", f"{_FUNCTION}/configuration")),
    Operation(LAMBDA, "Invoke", functions.invoke, FUNCTION, Http(
        "POST", f"{_FUNCTION}/invocations", payload="Payload", status_member="StatusCode",
        headers={"InvocationType": "X-Amz-Invocation-Type"},
        answer_headers={"ExecutedVersion": "X-Amz-Executed-Version", "FunctionError": "X-Amz-Function-Error"},
    )),
    #
    Operation(STS, "GetCallerIdentity", sts.get_caller_identity),
    Operation(STS, "GetSessionToken", sts.get_session_token),
    Operation(STS, "AssumeRole", sts.assume_role, ROLE),
    Operation(STS, "AssumeRoleWithWebIdentity", sts.assume_role_with_web_identity, ROLE),
    #
    Operation(CLOUDWATCH, "ListMetrics", metrics.list_metrics),
    Operation(CLOUDWATCH, "GetMetricData", metric_data.get_metric_data),
    Operation(CLOUDWATCH, "GetMetricStatistics", metrics.get_metric_statistics),
    Operation(CLOUDWATCH, "DescribeInsightRules", insights.describe_insight_rules),
    Operation(CLOUDWATCH, "GetInsightRuleReport", insights.get_insight_rule_report, INSIGHT_RULE),
    Operation(CLOUDWATCH, "PutMetricData", metrics.put_metric_data, encode=_without_body),
    Operation(CLOUDWATCH, "PutMetricAlarm", alarms.put_metric_alarm, ALARM, encode=_without_body),
    Operation(CLOUDWATCH, "PutCompositeAlarm", alarms.put_composite_alarm, ALARM, encode=_without_body),
    Operation(CLOUDWATCH, "DescribeAlarms", alarms.describe_alarms, ALARM),
    Operation(CLOUDWATCH, "DescribeAlarmsForMetric", alarms.describe_alarms_for_metric),
    Operation(CLOUDWATCH, "DescribeAlarmHistory", alarms.describe_alarm_history, ALARM),
    Operation(CLOUDWATCH, "DeleteAlarms", alarms.delete_alarms, ALARM, encode=_without_body),
    Operation(CLOUDWATCH, "SetAlarmState", alarms.set_alarm_state, ALARM, encode=_without_body),
    Operation(CLOUDWATCH, "EnableAlarmActions", alarms.enable_alarm_actions, ALARM, encode=_without_body),
    Operation(CLOUDWATCH, "DisableAlarmActions", alarms.disable_alarm_actions, ALARM, encode=_without_body),
    Operation(CLOUDWATCH, "TagResource", alarms.tag_resource, ALARM),
    Operation(CLOUDWATCH, "UntagResource", alarms.untag_resource, ALARM),
    Operation(CLOUDWATCH, "ListTagsForResource", alarms.list_tags_for_resource, ALARM),
    #
    Operation(SCALING, "RegisterScalableTarget", scaling_targets.register_scalable_target, SCALED),
    Operation(SCALING, "DeregisterScalableTarget", scaling_targets.deregister_scalable_target, SCALED),
    Operation(SCALING, "DescribeScalableTargets", scaling_targets.describe_scalable_targets),
    Operation(SCALING, "PutScalingPolicy", scaling_policies.put_scaling_policy, SCALED),
    Operation(SCALING, "DeleteScalingPolicy", scaling_policies.delete_scaling_policy, SCALED),
    Operation(SCALING, "DescribeScalingPolicies", scaling_policies.describe_scaling_policies, SCALED),
    Operation(SCALING, "GetPredictiveScalingForecast", scaling_policies.get_predictive_scaling_forecast, SCALED),
    Operation(SCALING, "PutScheduledAction", scaling_actions.put_scheduled_action, SCALED),
    Operation(SCALING, "DeleteScheduledAction", scaling_actions.delete_scheduled_action, SCALED),
    Operation(SCALING, "DescribeScheduledActions", scaling_actions.describe_scheduled_actions, SCALED),
    Operation(SCALING, "DescribeScalingActivities", scaling_activities.describe_scaling_activities, SCALED),
    Operation(SCALING, "TagResource", scaling_targets.tag_resource, SCALED),
    Operation(SCALING, "UntagResource", scaling_targets.untag_resource, SCALED),
    Operation(SCALING, "ListTagsForResource", scaling_targets.list_tags_for_resource, SCALED),
    #
    Operation(ADMIN, "ShowClock", admin.show_clock, NOTHING, Http("GET", "clock")),
    Operation(ADMIN, "MoveClock", admin.move_clock, NOTHING, Http("POST", "clock")),
    Operation(ADMIN, "RotateStream", admin.rotate, resources.ADMINISTERED_STREAM, Http("POST", "streams/rotate")),
    Operation(ADMIN, "SplitStream", admin.split, resources.ADMINISTERED_STREAM, Http("POST", "streams/split")),
    Operation(ADMIN, "TrimStream", admin.trim, resources.ADMINISTERED_STREAM, Http("POST", "streams/trim")),
    Operation(ADMIN, "StartStoreCheck", admin.start_check, NOTHING, Http("POST", "store/check")),
    Operation(ADMIN, "ShowStoreChecks", admin.show_checks, NOTHING, Http("GET", "store/check")),
    Operation(ADMIN, "ShowDueWork", background.show_due, resources.ADMINISTERED_TABLE, Http("GET", "due")),
    Operation(ADMIN, "ShowTriggers", background.show_triggers, NOTHING, Http("GET", "triggers")),
    Operation(ADMIN, "ShowStorage", storage.show_storage, NOTHING, Http("GET", "storage")),
    Operation(ADMIN, "ShowLinks", links.show_links, NOTHING, Http("GET", "replication/links")),
    Operation(ADMIN, "ChangeLink", links.change_link, NOTHING, Http("POST", "replication/links")),
    Operation(ADMIN, "ShowFaults", faults.show_faults, NOTHING, Http("GET", "faults")),
    Operation(ADMIN, "ChangeFaults", faults.change_faults, NOTHING, Http("POST", "faults")),
    Operation(ADMIN, "ShowInsights", insights.show_insights, resources.ADMINISTERED_TABLE, Http("GET", "insights")),
    Operation(ADMIN, "ShowReplicas", masters.show_replicas, NOTHING, Http("GET", "replication/replicas")),
    Operation(ADMIN, "AddReplica", masters.add_replica, resources.ADMINISTERED_TABLE,
              Http("POST", "replication/replicas/add")),
    Operation(ADMIN, "RemoveReplica", masters.remove_replica, resources.ADMINISTERED_TABLE,
              Http("POST", "replication/replicas/remove")),
    Operation(ADMIN, "PromoteReplica", masters.promote_replica, resources.ADMINISTERED_TABLE,
              Http("POST", "replication/replicas/promote")),
    Operation(ADMIN, "ExplainPolicies", policies.explain, NOTHING, Http("POST", "policies/explain")),
    Operation(ADMIN, "ShowObservedPolicies", policies.observed, NOTHING, Http("GET", "policies/observed")),
    Operation(ADMIN, "ShowConflicts", replication.show_conflicts, resources.ADMINISTERED_TABLE,
              Http("GET", "replication/conflicts")),
    Operation(ADMIN, "UpgradeGlobalTable", replication.upgrade, resources.ADMINISTERED_TABLE,
              Http("POST", "replication/upgrade")),
)  # fmt: skip

TARGETS: dict[bytes, Operation] = {
    f"{operation.service.target}.{operation.name}".encode(): operation
    for operation in OPERATIONS
    if operation.service.target
}
"""The operations by the value of X-Amz-Target."""


def of(service: Service) -> list[Operation]:
    return [operation for operation in OPERATIONS if operation.service is service]
