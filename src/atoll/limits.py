"""Every published limit, each defined once, except those of DynamoDB's request model (see `api.service_model`).

Unless a comment says otherwise, the source is the page "Service, account, and table quotas" of the Amazon DynamoDB
Developer Guide."""

# Items
ITEM_BYTES = 409_600
NESTING_LEVELS = 32
PARTITION_KEY_BYTES = 2_048
SORT_KEY_BYTES = 1_024
ATTRIBUTE_NAME_BYTES = 65_535
KEY_NAME_CHARS = 255
NUMBER_DIGITS = 38
NUMBER_MAX_EXPONENT = 125
NUMBER_MIN_EXPONENT = -130

# The regions in which only the item's size limits an update, not the size of its statement: measured in October 2026.
REGIONS_WITHOUT_STATEMENT_SIZES = frozenset(
    """
    ap-south-2 ap-southeast-6 ap-southeast-7 ca-central-1 eu-central-2 eu-south-1 eu-south-2 eu-west-1 me-central-1
    us-east-2
    """.split()
)

# Expressions
EXPRESSION_BYTES = 4_096
EXPRESSION_OPERATORS = 300
EXPRESSION_OPERANDS_IN = 100
EXPRESSION_VARIABLES_BYTES = 2 * 1024 * 1024

# Requests and answers
REQUEST_BYTES = 16 * 1024 * 1024
PAGE_BYTES = 1024 * 1024
BATCH_GET_KEYS = 100
BATCH_GET_BYTES = 16 * 1024 * 1024
BATCH_WRITE_ITEMS = 25
TRANSACTION_BYTES = 4 * 1024 * 1024
TRANSACTION_TOKEN_MS = 10 * 60 * 1000
LIST_TABLES_LIMIT = 100

# Tables
TABLES = 2_500
LOCAL_INDEXES = 5
GLOBAL_INDEXES = 20
PROJECTED_ATTRIBUTES = 100
TAGS = 50
TAGS_BYTES = 10_240
TAG_KEY_CHARS = 128
TAG_VALUE_CHARS = 256
ITEM_COLLECTION_BYTES = 10 * 1024**3
INDEX_KEY_ATTRIBUTES = 4

# Capacity
READ_UNIT_BYTES = 4_096
WRITE_UNIT_BYTES = 1_024
ACCOUNT_READ_UNITS = 80_000
ACCOUNT_WRITE_UNITS = 80_000
TABLE_READ_UNITS = 40_000
TABLE_WRITE_UNITS = 40_000
# Vector indexes of a table; results of a search; the least bytes that a search and a write of an entry are charged.
VECTOR_INDEXES = 5
VECTOR_DIMENSIONS = 4_096
VECTOR_FILTERS = 18
VECTOR_FILTER_BYTES = 10_240
VECTOR_TOP_K = 100
VECTOR_BYTES_LEAST = 1_024
VECTOR_RESULTS_BYTES = 16 * 1024 * 1024
# Decreases of a table's or index's provisioned units: 4 at any time of a UTC day, then one per hour.
THROUGHPUT_DECREASES = 4
THROUGHPUT_DECREASE_INTERVAL_MS = 3600 * 1000
# Changes of encryption: 4 in any 24 hours, then one every 6 hours. Of the table class: 2 in any 30 days. Of the
# protection against deletion: one every 15 seconds (measured).
ENCRYPTION_CHANGES = 4
ENCRYPTION_WINDOW_MS = 24 * 3600 * 1000
ENCRYPTION_CHANGE_INTERVAL_MS = 6 * 3600 * 1000
TABLE_CLASS_CHANGES = 2
TABLE_CLASS_WINDOW_MS = 30 * 24 * 3600 * 1000
PROTECTION_INTERVAL_MS = 15_000
# The initial throughput of a new on-demand table ("Understanding DynamoDB warm throughput").
WARM_READ_UNITS = 12_000
WARM_WRITE_UNITS = 4_000
# How long a table or index accumulates unused units ("Burst capacity").
BURST_SECONDS = 300
# An on-demand table may double its previous peak within this time.
GROWTH_INTERVAL_MS = 30 * 60 * 1000
# Contributor insights: the rules of an account in a region; the contributors and the time span of a report.
INSIGHT_RULES = 100
INSIGHT_RULES_PAGE = 500
INSIGHT_CONTRIBUTORS = 100
INSIGHT_RULES_OF_REQUEST = 10
INSIGHT_REPORT_MS = 24 * 3600 * 1000
UNITS_BOUND = 1_000_000_000_000
PARTITION_READ_UNITS = 3_000
PARTITION_WRITE_UNITS = 1_000
PARTITION_BYTES = 10 * 1024**3
# Atoll's own: each partition is a shard with its own rows, so high throughput must not fill the store with shards.
PARTITIONS = 1_000
# Atoll's own: after this many changes of a partition, check whether the table has outgrown its partitions.
SPLIT_CHECK_CHANGES = 1_024

# Streams
STREAM_RETENTION_MS = 24 * 3600 * 1000
STREAM_ITERATOR_MS = 15 * 60 * 1000
STREAM_ROTATION_MS = 4 * 3600 * 1000
STREAM_RECORDS = 1_000
STREAM_PAGE_BYTES = 1024 * 1024
STREAM_SHARDS_LISTED = 100
STREAMS_LISTED = 100
STREAM_READERS = 2

# Replication. Atoll's own: how long a log keeps changes for replicas that cannot be reached, and how long a replica
# that is being removed waits for others to read its last changes.
REPLICATION_RETENTION_MS = 24 * 3600 * 1000
LEAVING_MS = 24 * 3600 * 1000
CONFLICTS_KEPT = 1_000
EXPIRED_ELSEWHERE_SECONDS = 60
"""A replica deletes an expired item that another region wrote if that region has not done so after this time."""
SOURCE_MS = 24 * 3600 * 1000
"""A replica cannot be deleted within this time after it invited another one."""

# Time to live (Developer Guide: no item that expired more than five years ago is deleted). The API Reference speaks of
# one change an hour; the service was measured to accept the next one after 31 minutes.
TTL_OLDEST_SECONDS = 5 * 365 * 24 * 3600
TTL_CHANGE_INTERVAL_MS = 30 * 60 * 1000

# Signatures (Signature Version 4, "Troubleshooting": requests are valid for 15 minutes; presigned up to 7 days)
SIGNATURE_SKEW_MS = 15 * 60 * 1000
PRESIGNED_SECONDS = 7 * 24 * 3600

# Triggers (Lambda Developer Guide, "Lambda quotas", "Using tumbling windows", "Event filtering"; API Reference,
# CreateEventSourceMapping)
INVOCATION_BYTES = 6 * 1024 * 1024
WINDOW_STATE_BYTES = 1024 * 1024
FILTERS = 5
FILTER_DEPTH = 100
"""Two levels for each document level, plus some for the surrounding record and for `$or`."""
RECORD_AGE_SECONDS = 60
MAPPINGS_LISTED = 100
FUNCTIONS_LISTED = 50

# Alarms ("CloudWatch service quotas"; API Reference, PutMetricAlarm)
ALARMS = 5_000
ALARM_HISTORY_MS = 30 * 24 * 3600 * 1000
ALARM_HISTORY_DATA_CHARS = 4_095
ALARM_SUMMARY_CHARS = 255
ALARM_SPAN_SECONDS = 24 * 3600
ALARM_LONG_SPAN_SECONDS = 7 * 24 * 3600
"""The limit for periods of an hour or more."""
ALARM_METRICS = 10
COMPOSITE_CHILDREN = 100
COMPOSITE_ELEMENTS = 500
ALARM_PAGE = 100

# Metric math (User Guide, "Using math expressions with CloudWatch metrics")
MATH_EXPRESSION_CHARS = 2_048
# Atoll's own
MATH_DEPTH = 40
MATH_POINTS = 2_000_000
"""The most points that one expression may compute."""

RESOURCE_POLICY_BYTES = 20_480
RESOURCE_POLICY_INTERVAL_MS = 15_000
"""The least time between two changes of a resource's policy."""
# Point-in-time recovery and backups (API Reference, UpdateContinuousBackups; measured)
RECOVERY_DAYS = 35
RECOVERY_LAG_MS = 300_000
BACKUPS_LISTED = 100
SYSTEM_BACKUP_MS = 35 * 24 * 3600 * 1000
RESTORES = 50
IMPORTS = 50
BULK_OPERATIONS = 50
"""The most at the same time; assumed."""
EXPORTS_LISTED = 10
EXPORTS_KEPT_MS = 90 * 24 * 3600 * 1000
EXPORT_TOKEN_MS = 8 * 3600 * 1000


# Metrics ("CloudWatch service quotas"; API Reference, PutMetricData, GetMetricData, GetMetricStatistics, ListMetrics)
METRICS_PAGE = 500
METRICS_LISTED_MS = 14 * 24 * 3600 * 1000
"""A metric without a datapoint for this long is not listed, and older datapoints are refused."""
METRICS_RECENT_MS = 4 * 3600 * 1000
"""RecentlyActive PT3H: three hours, give or take 50 minutes."""
METRIC_DATA = 1_000
METRIC_VALUES = 150
METRIC_VALUE = 2.0**360
METRIC_AHEAD_MS = 2 * 3600 * 1000
METRIC_QUERIES = 500
METRIC_DATAPOINTS = 100_800
METRIC_SECONDS_MS = 3 * 3600 * 1000
"""A request that begins earlier has periods of whole minutes."""
STATISTICS_POINTS = 1_440
LATEST_SECOND = 1 << 35
"""The times that requests may name lie within a thousand years of 1970."""
METRIC_SEARCHES = 100
METRIC_SEARCH_CHARS = 1_024
METRIC_SEARCHED_MS = 14 * 24 * 3600 * 1000
"""SEARCH finds metrics with a datapoint in the last two weeks."""

# Application Auto Scaling: its quotas and API reference
SCALABLE_TARGETS = 5_000
SCALING_POLICIES = 50
"""The most for each target."""
SCHEDULED_ACTIONS = 200
"""The most for each target."""
SCALING_ACTIVITIES_MS = 42 * 24 * 3600 * 1000
SCALING_ACTIVITIES = 20_000
"""The most for each region; Atoll's own."""
SCALING_PAGE = 50
SCALING_POLICIES_PAGE = 10
PREDEFINED_TARGET_PERCENT = (10.0, 90.0)
CUSTOMIZED_TARGET = (8.51592e-109, 1.174271e108)
SCALE_IN_MARGIN_PERCENT = 20.0
"""The threshold of scaling in is this many percentage points below the target."""
FIRST_SCHEDULED_YEAR = 1970
LAST_SCHEDULED_YEAR = 2199
"""The years of cron expressions."""
SCALABLE_TARGET_TAGS = 50
CUSTOMIZED_METRIC_DIMENSIONS = 30
CUSTOMIZED_METRIC_CHARS = 255
LAST_TIME_MS = 253_402_300_799_999
"""The end of the year 9999: later times of requests are treated as this one."""
