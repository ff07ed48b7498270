"""Where Atoll differs from DynamoDB Local on purpose, each with its reason.

DynamoDB Local is right about what operations *do*; its texts, its order of checks and some of its limits are not the
service's. An entry covers a difference if all its patterns are found: in the operation, in the request's JSON, in
Atoll's outcome and in DynamoDB Local's. An outcome is `success` or `400 ValidationException: message`. Two successes
are covered only by an entry with an agreement, which says what alone may differ in the answers. An entry is as narrow
as its reason; of requests with two faults, it names the kinds of both.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

from tests.differential import agreements
from tests.differential.agreements import Agreement


@dataclass(frozen=True)
class Explained:
    reason: str
    operation: str = ""
    atoll: str = ""
    local: str = ""
    request: str = ""
    agree: Agreement | None = None  # of two successes, which nothing else covers

    def covers(self, operation: str, body: Any, atoll: str, local: str) -> bool:
        return (
            re.search(self.operation, operation) is not None
            and re.search(self.atoll, atoll) is not None
            and re.search(self.local, local) is not None
            and (not self.request or re.search(self.request, json.dumps(body, default=bytes.decode)) is not None)
        )


VALIDATION = "ValidationException: "
DEFINITIONS = "^(Create|Update|Delete|Describe)Table$|^ListTables$"

OF_STATEMENT = r"(Validation failed in TransactStatements\[\d+\]: )?"

# Key conditions whose range ends at a key that an item may have.
INCLUSIVE = r'"KeyConditionExpression": "[^"]*(<=|>=|BETWEEN)'

# What is wrong with expressions themselves, whatever the table: the same texts in both.
_FAULTS_OF_EXPRESSIONS = (
    "The expression can not be empty;|Expression size has exceeded the maximum allowed size;|Syntax error; token: "
    "|The expression has redundant parentheses;|The expression contains too many operators;"
    "|Attribute name is a reserved keyword;|List index is not within the allowable range;"
    "|The document path has too many nesting levels;|Invalid function name;|The function is not allowed "
    '|The "[A-Z]+" section can only be used once|An expression attribute (name|value) used in '
    "|Incorrect number of operands for operator or function;|The IN operator is provided with too many operands;"
    "|Operator or function requires a document path;|The first operand must be distinct from the remaining operands "
    "|Incorrect operand type for operator or function;|Invalid attribute type name found;"
    "|The BETWEEN operator requires (same data type|upper bound)|Two document paths (overlap|conflict) with each other;"
)
EXPRESSION_FAULTS = (
    rf"(Invalid (Condition|Filter|KeyCondition|Projection|Update)Expression: ({_FAULTS_OF_EXPRESSIONS})"
    "|ExpressionAttribute(Names|Values) (contains invalid (key|value): |must not be empty$|can only be specified when)"
    "|Value provided in ExpressionAttribute(Names|Values) unused in expressions: keys: )"
)

# What DynamoDB Local says about keys, and about indexes.
LOCAL_KEY_FAULTS = (
    "(The number of conditions on the keys is invalid$|Hash primary key values must be under 2048 bytes"
    "|Invalid attribute value type$|One of the required keys was not given a value$"
    "|One or more parameter values were invalid: Type mismatch for (key|Index Key)$"
    r"|One or more parameter values are not valid\. "
    "(A value specified for a secondary index key is not supported|The AttributeValue for a key attribute cannot)"
    "|Provided list of item keys contains duplicates$"
    "|Transaction request cannot include multiple operations on one item$)"
)
LOCAL_INDEX_FAULTS = (
    r"(The table does not have the specified index: \S+$|Consistent read cannot be true when \w+ing a GSI$"
    r"|.*: (Select type ALL_ATTRIBUTES is not supported for global|Global) secondary index \S+ )"
)
LOCAL_KEY_CONDITION_FAULTS = (
    "(Conditions can be of length 1 or 2 only$|Query condition missed key schema element$"
    "|Query key condition not supported$|.*: Condition parameter type does not match schema type$"
    "|Only scalar types can be used as Range Key values$|Key attributes must be scalars;"
    "|.*: Secondary index \\S+ does not project one or more filter attributes: "
    "|(Filter Expression|QueryFilter) can only contain non-primary key attributes: )"
)
LOCAL_START_KEY_FAULTS = (
    "(The provided starting key |Exclusive Start Key must have same size|Type mismatch for attribute to update$"
    "|The query can return at most one row and cannot be restarted)"
)

# What is wrong with legacy conditions and attributes to get: the same texts in both, but for the name of a duplicate.
LEGACY_FAULTS = (
    r"(.*: (ComparisonOperator \w+ is not valid|Invalid number of argument\(s\) for the \w+ ComparisonOperator$)"
    "|ConditionalOperator can only be used when |Attempted conditional constraint is not an indexable operation$"
    "|.*: Duplicate value in attribute name: |Cannot have two attributes with the same name$|.*must be of same type$"
    "|The BETWEEN condition was provided a range)"
)

# What DynamoDB Local says when it carries out an action, about definitions of tables, and about missing tables.
LOCAL_ACTION_FAULTS = (
    "(The document path provided in the update expression is invalid for update$"
    "|The provided expression refers to an attribute that does not exist in the item$"
    "|DynamoDB only supports precision up to 38 digits$"
    "|An operand in the update expression has an incorrect data type$"
    r"|One or more parameter values are not valid\. The update expression attempted to update a secondary index key)"
)
LOCAL_DEFINITION_FAULTS = (
    "(Nothing to update$|Two keys can not have the same name$|Update global secondary index action is null$"
    "|(Hash|Range) Key not specified in Attribute Definitions|Global Secondary Index (hash|range) key not specified in "
    "|No provisioned throughput specified for the (table|global secondary index)$|Table has no stream to disable$"
    "|Table already has an enabled stream$|The number of attributes in key schema must match the number of attributes "
    "|The requested throughput value equals the current value$|Invalid (table/index|global secondary index) name"
    "|Cannot have two attributes with the same name$|Local Secondary indices are not allowed on hash tables"
    "|Local [Ss]econdary indices must have (a range key|the same hash key as the main table)$"
    "|(Too many hash keys|No Hash Key) specified|Indexes must have a projection specified$"
    "|No attributes should be specified to be projected unless |If Projection type INCLUDE is specified, "
    "|GSI list is empty/invalid$|Invalid key order|Cannot have more than 5 local secondary indexes per table$"
    "|GlobalSecondaryIndex count exceeds the per-table limit|Cannot increase provisioned throughput to more than "
    "|Key Schema too big|Cannot change IOPS and Streams at the same time"
    "|invalid attribute, SchemaElement redefined should be of same type )"
)
LOCAL_MISSING_TABLE = (
    "ResourceNotFoundException: (Cannot do operations on a non-existent table|Requested resource not found)$"
)

# Texts that DynamoDB Local prints a set of names in, in the order of its hashes.
SETS_IN_TEXTS = (
    r"does not project \[|unused in expressions: keys: |Invalid attribute type name found; .* valid types: "
    "|attribute_type, operand type: "
)

SHAPES = [
    Explained(
        "what cannot be read at all has a 400; DynamoDB Local fails",
        atoll="^400 (UnknownOperationException|ValidationException)",
        local="^500 InternalFailure",
        operation="^(?!UpdateTable)",
    ),
    Explained(
        "JSON of the wrong type is refused before anything else; DynamoDB Local converts it, or fails",
        atoll="^400 SerializationException",
    ),
    Explained(
        "constraints of shapes are told together, in one envelope, before anything that needs thought",
        atoll=VALIDATION + r"\d+ validation errors? detected: ",
        local="^400 |^500 InternalFailure",
    ),
    Explained(
        "what is not a member of an enumeration is refused everywhere; DynamoDB Local often takes it",
        atoll=VALIDATION + "1 validation error detected: .*Member must satisfy enum value set",
        local="^success$",
    ),
    Explained(
        "an index projects at most 20 names, and units of a new one begin at 1; DynamoDB Local counts neither",
        operation="^(Create|Update)Table$",
        atoll=VALIDATION
        + r"\d+ validation errors? detected: Value '[^']*' at '(\w+Indexes\.\d+\.member\.projection\.nonKeyAttributes"
        + r"|globalSecondaryIndexUpdates\.\d+\.member\.create\.provisionedThroughput\.\w+)' failed to satisfy "
        + "constraint: Member must have (length less than or equal to 20|value greater than or equal to 1)",
        local="^success$",
    ),
    Explained(
        "more than a trillion units are out of bounds",
        operation="^UpdateTable$",
        atoll=VALIDATION + r"Given value \d{13,} for (Read|Write)CapacityUnits is out of bounds",
        local="^success$",
    ),
    Explained(
        "a missing member that the service calls required",
        atoll=VALIDATION + r"The \w+ parameter is required for Batch(Get|Write)Item$",
        local=VALIDATION + "Batch(Get|Write)Item (must have some|cannot have a null or no) requests set",
    ),
    Explained(
        "names of one and two characters are legal in requests for items, and no such table exists",
        atoll="ResourceNotFoundException: Requested resource not found$",
        local=VALIDATION + "Invalid table/index name",
    ),
    Explained(
        "the service says nothing about an operation that it does not know; Atoll names it",
        atoll="UnknownOperationException: (Atoll does not serve .*)?$",
        local="UnknownOperationException: An unknown operation was requested",
    ),
    Explained(
        "the text for a return value that an operation does not have",
        operation="^(Put|Delete)Item$",
        atoll=VALIDATION,
        local=VALIDATION + "Return values set to invalid value$",
    ),
    Explained(
        "a write of a batch that is none, or two, is told before what is in the others",
        operation="^BatchWriteItem$",
        atoll=VALIDATION + "Supplied AttributeValue has more than one datatypes set",
        local=VALIDATION + "(A value provided cannot be converted into a number$|Supplied AttributeValue is empty)",
    ),
    Explained(
        "parallel scans are checked before expressions, with the service's text",
        operation="^Scan$",
        atoll=VALIDATION + "The Segment parameter is zero-based and must be less than parameter TotalSegments",
        local=VALIDATION
        + f"({EXPRESSION_FAULTS}|1 validation error detected: Value '\\d+' at 'segment' failed to satisfy )",
    ),
]

TABLES = [
    Explained(
        "requests for items do not name the table that is missing",
        atoll="ResourceNotFoundException: Requested resource not found$",
        local="ResourceNotFoundException: Cannot do operations on a non-existent table$",
    ),
    Explained(
        "table operations name the table that is missing",
        operation=DEFINITIONS,
        atoll="ResourceNotFoundException: Requested resource not found: Table: \\S+ not found$",
        local="ResourceNotFoundException: Cannot do operations on a non-existent table$",
    ),
    Explained(
        "the text for a table that exists",
        operation="^CreateTable$",
        atoll="ResourceInUseException: Table already exists: ",
        local="ResourceInUseException: Cannot create preexisting table$",
    ),
    Explained(
        "the texts for a view type that a stream lacks, or has although it is not enabled",
        operation="^(Create|Update)Table$",
        atoll=VALIDATION
        + "One or more parameter values were invalid: .*UpdateViewType (is required|(should|must) not be specified)$",
        local=VALIDATION
        + "Invalid StreamViewType: Stream (StreamEnabled was false but a StreamViewType was present"
        + "|ViewType must not be null or empty when enabling streams)",
    ),
    Explained(
        "DynamoDB Local words the rules for table definitions in its own way",
        operation=DEFINITIONS,
        atoll="^400 " + VALIDATION,
        local="^400 " + VALIDATION + LOCAL_DEFINITION_FAULTS,
    ),
    Explained(
        "what a request itself gets wrong is told before the table is looked for",
        operation=DEFINITIONS,
        atoll="^400 " + VALIDATION,
        local=f"({LOCAL_MISSING_TABLE}|ResourceInUseException: Cannot create preexisting table$)",
    ),
    Explained(
        "what is wrong with a projection, and a key given twice, is told before tables are looked for",
        operation="^BatchGetItem$",
        atoll=VALIDATION + "(Invalid ProjectionExpression: |Provided list of item keys contains duplicates$)",
        local=LOCAL_MISSING_TABLE,
    ),
    Explained(
        "an unknown index in a change of indexes is ResourceNotFoundException",
        operation="^UpdateTable$",
        atoll="^400 ResourceNotFoundException",
        local="^500 InternalFailure|Invalid global secondary index name",
    ),
    Explained(
        "the keys of a global index may have several attributes; DynamoDB Local is older",
        operation="^(Create|Update)Table$",
        atoll="^success$",
        local=VALIDATION + "(Key Schema too big|Too many hash keys specified)",
    ),
    Explained(
        "an empty list of indexes is none that a table could have",
        operation="^CreateTable$",
        atoll=VALIDATION + ".*List of \\w+Indexes is empty$",
        local="^success$",
    ),
    Explained(
        "the request that makes an index defines its attributes, even those that the table knows",
        operation="^UpdateTable$",
        atoll=VALIDATION
        + ".*(Some index key attributes are not defined in AttributeDefinitions|AttributeDefinitions is not specified)",
        local="^success$",
    ),
    Explained(
        "a table that exists is told before what only newer definitions have",
        operation="^CreateTable$",
        atoll="ResourceInUseException: Table already exists: ",
        local=VALIDATION + "(Key Schema too big|Too many hash keys specified)",
    ),
    Explained(
        "throughput of an on-demand table or index cannot be set; DynamoDB Local takes it, or fails",
        operation="^UpdateTable$",
        atoll=VALIDATION + ".*when BillingMode is PAY_PER_REQUEST$",
        local="^success$|^500 InternalFailure",
    ),
    Explained(
        "an on-demand table has no throughput, and attributes without use are not defined; DynamoDB Local takes both",
        operation="^CreateTable$",
        atoll=VALIDATION + ".*(when BillingMode is PAY_PER_REQUEST$|Some AttributeDefinitions are not used)",
        local="^success$",
    ),
    Explained(
        "the attributes of an index are defined as long as it is there, deleting included",
        operation="^UpdateTable$",
        request='"Delete": {"IndexName"',
        atoll="^success$",
        local="^success$",
        agree=agreements.except_definitions_of_deleted_index,
    ),
    Explained(
        "the indexes of an on-demand table have no throughput",
        operation="^UpdateTable$",
        request='"BillingMode": "PAY_PER_REQUEST"',
        atoll="^success$",
        local="^success$",
        agree=agreements.except_throughput_of_indexes,
    ),
    Explained(
        "going to provisioned throughput says how much",
        operation="^UpdateTable$",
        atoll="ProvisionedThroughput must be specified when BillingMode is PROVISIONED$",
        local="^success$",
    ),
    Explained(
        "what is wrong with a change is told; DynamoDB Local fails",
        operation="^UpdateTable$",
        atoll=VALIDATION,
        local="^500 InternalFailure",
    ),
    Explained(
        "one call makes one kind of change",
        operation="^UpdateTable$",
        atoll=VALIDATION
        + ".*(must be the only operation in the request$|OnDemandThroughput can only be combined with BillingMode "
        "|You cannot (modify stream status|create or delete index) while )",
        local="^success$|^500 InternalFailure",
    ),
    Explained(
        "the answer to a change shows the old units, and only the definitions of keys",
        operation="^UpdateTable$",
        atoll="^success$",
        local="^success$",
        agree=agreements.except_units_of_changed_table,
    ),
    Explained(
        "an index with a local or unknown name, and an empty list of changes, have errors of their own",
        operation="^UpdateTable$",
        atoll="(not a GlobalSecondaryIndex: |Index \\S+ for table |List of GlobalSecondaryIndexUpdates is empty$)",
        local="^success$|^500 InternalFailure|" + VALIDATION + "|ResourceNotFoundException",
    ),
    Explained(
        "only the definitions of a new index's keys matter",
        operation="^UpdateTable$",
        atoll="^success$",
        local=VALIDATION + ".*(SchemaElement redefined|attributes? .*not used|Number of attributes)",
    ),
    Explained(
        "a table class, and tags, are checked by the operation itself",
        operation="^(CreateTable|UpdateTable|(Unt|T)agResource)$",
        atoll=VALIDATION + "(Invalid table-class parameter provided|The Tag (Key|Value) provided is invalid)",
        local="^400 " + VALIDATION,
    ),
    Explained(
        "a description of a deleted table has no schema any more",
        operation="^DeleteTable$",
        atoll="^success$",
        local="^success$",
        agree=agreements.except_schema_of_deleted_table,
    ),
]

VALUES = [
    Explained(
        "too many digits have one text, whether they are given or computed",
        atoll="Attempting to store more than 38 significant digits in a Number",
        local="DynamoDB only supports precision up to 38 digits",
    ),
    Explained(
        "a value has 32 levels at most wherever it stands; DynamoDB Local takes 33 where it is not put",
        atoll=VALIDATION + "(ExpressionAttributeValues contains invalid value: )?Nesting Levels have exceeded",
        local="^success$|ConditionalCheckFailedException|Nesting Levels have exceeded supported limits$",
    ),
    Explained(
        "the text for what is not a number",
        atoll="The parameter cannot be converted to a numeric value",
        local="A value provided cannot be converted into a number",
    ),
    Explained(
        "a key of the wrong type, with too few or too many attributes has one text",
        atoll=VALIDATION + "The provided key element does not match the schema$",
        local=VALIDATION
        + "(The number of conditions on the keys is invalid|Invalid attribute value type|.*Type mismatch for key"
        + "|One of the required keys was not given a value$)",
    ),
    Explained(
        "the text for a key attribute that an item lacks",
        atoll=VALIDATION + r"One or more parameter values were invalid: Missing the key \w+ in the item$",
        local=VALIDATION
        + "(One of the required keys was not given a value$|Hash primary key values must be under 2048)",
    ),
    Explained(
        "the text for key attributes of another type",
        atoll=VALIDATION
        + r"One or more parameter values were invalid: Type mismatch for (key \w+ expected: |Index Key )",
        local=VALIDATION
        + "(Invalid attribute value type$|.*Type mismatch for (key|Index Key)$"
        + "|Updates on index keys must be of the same data type as the key attribute$)",
    ),
    Explained(
        "the text for keys that are too long",
        atoll=VALIDATION + ".*(Size of hashkey has exceeded|Aggregated size of all range keys has exceeded)",
        local=VALIDATION + "Hash primary key values must be under 2048 bytes",
    ),
    Explained(
        "an update is refused an index key of the wrong type; DynamoDB Local lets the item drop out of the index",
        operation="^(UpdateItem|TransactWriteItems|ExecuteStatement|ExecuteTransaction)$",
        atoll="Type mismatch for Index Key|secondary index key to unsupported type$"
        r"|TransactionCanceledException: .*\[.*ValidationError",
        local="^success$|ConditionalCheckFailed|Key attributes must be scalars",
        request="indexed",
    ),
    Explained(
        "the text for an index key that an update computes as another type",
        operation="^UpdateItem$",
        atoll=VALIDATION + "The update expression attempted to update the secondary index key to unsupported type$",
        local=VALIDATION + "Invalid attribute value type$",
    ),
    Explained(
        "keys are checked as values before expressions are",
        operation="^(GetItem|Transact(Get|Write)Items)$",
        atoll=VALIDATION + "(Supplied AttributeValue |The supplied Item contains a null)",
        local=VALIDATION + "(Invalid \\w+Expression: |Value provided in Expression\\w+ unused)",
    ),
    Explained(
        "the projection of a batch is checked before the values of its keys",
        operation="^BatchGetItem$",
        atoll=VALIDATION + EXPRESSION_FAULTS,
        local=VALIDATION + "(Supplied AttributeValue |The supplied Item contains a null)",
    ),
    Explained(
        "a sum beyond the largest number overflows",
        atoll=VALIDATION + "Number (over|under)flow",
        local=VALIDATION + "DynamoDB only supports precision up to 38 digits",
    ),
    Explained(
        "the text for duplicates lists them and ends in a full stop",
        atoll=r"Input collection \[.*\] ?(of type \w+ )?contains duplicates\.",
        local=r"Input collection (\[.*\] |of type \w+ )contains duplicates",
    ),
    Explained(
        "one key in two spellings is a duplicate",
        operation="^BatchGetItem$",
        request='"numbered"|"indexed"',
        atoll=VALIDATION + "Provided list of item keys contains duplicates$",
        local="^success$",
    ),
    Explained(
        "duplicates are looked for before the items themselves are checked",
        operation="^Batch",
        atoll=VALIDATION + "(Provided list of item keys contains duplicates|.*Duplicate value in attribute name)",
        local=VALIDATION
        + f"({LOCAL_KEY_FAULTS}|.*: Type mismatch for Index Key$|Supplied AttributeValue is"
        + "|Can not use both expression and non-expression parameters )",
    ),
    Explained(
        "keys fit the table before they are compared with one another, and before indexes are looked at",
        operation="^BatchWriteItem$",
        atoll=VALIDATION
        + "(The provided key element does not match the schema$"
        + "|.*The AttributeValue for a key attribute cannot contain an empty (string|binary) value. Key: )",
        local=VALIDATION
        + "(Provided list of item keys contains duplicates$"
        + "|.*A value specified for a secondary index key is not supported)",
    ),
    Explained(
        "a value of the wrong type for an index key has no other fault that is told",
        operation="^(UpdateItem|ExecuteStatement)$",
        atoll=VALIDATION + r"One or more parameter values were invalid: Type mismatch for Index Key \w+ Expected: ",
        local=VALIDATION + r"One or more parameter values are not valid\. The update expression attempted to update a ",
    ),
    Explained(
        "of two keys of the wrong type either may be named",
        operation="^ExecuteStatement$",
        atoll=VALIDATION + "Key attribute's data type should match its data type in table's schema: Key ",
        local=VALIDATION + "Key attribute's data type should match its data type in table's schema: Key ",
    ),
    Explained(
        "which of several indexes is named first is nobody's promise",
        atoll="(A value specified for a secondary index key is not supported|Type mismatch for Index Key).*IndexName: ",
        local="A value specified for a secondary index key is not supported.*IndexName: |Type mismatch for Index Key",
    ),
]

EXPRESSIONS = [
    Explained(
        "an update that only removes makes no item where there is none, so it has none to return",
        operation="^UpdateItem$",
        request=r'^(?i:(?!.*"UpdateExpression": "[^"]*\b(SET|ADD)\b)).*"ReturnValues": "ALL_NEW"',
        atoll="^success$",
        local="^success$",
        agree=agreements.nothing_against_bare_key,
    ),
    Explained(
        "an update of a key attribute, and a path into one, is refused whatever the condition says",
        operation="^(UpdateItem|TransactWriteItems|ExecuteStatement)$",
        atoll="This attribute is part of the key$|Key attributes must be scalars; "
        "|TransactionCanceledException: .*ValidationError",
        local="ConditionalCheckFailed",
    ),
    Explained(
        "an overlap names the two paths that overlap; DynamoDB Local often names others",
        atoll="Two document paths (overlap|conflict) with each other; .* path one: ",
        local="Two document paths (overlap|conflict) with each other; .* path one: ",
    ),
    Explained(
        "of two actions that cannot be carried out either may be told",
        operation="^(UpdateItem|TransactWriteItems|ExecuteStatement)$",
        atoll=VALIDATION
        + "(The document path|The provided expression refers|Attempting to store|Number overflow|An operand in"
        + "|.*Type mismatch for Index Key"
        + r"|.*are not valid\. The update expression attempted to update a secondary index key)",
        local=VALIDATION + "(The document path|The provided expression refers|DynamoDB only supports|An operand in)",
    ),
    Explained(
        "SIZE is a reserved word",
        atoll="Attribute name is a reserved keyword; reserved keyword: size$",
        local="^success$|ConditionalCheckFailedException: The conditional request failed$",
    ),
    Explained(
        "a missing sort key is named",
        atoll=VALIDATION + r"Query condition missed key schema element: \w+$",
        local=VALIDATION + "Query condition missed key schema element$",
    ),
    Explained(
        "nested paths to keys in key conditions have a text of their own",
        atoll="KeyConditionExpressions cannot have conditions on nested attributes$",
        local="Key attributes must be scalars",
    ),
    Explained(
        "a wrong Select is told before its combination with a projection",
        atoll="ALL_PROJECTED_ATTRIBUTES can be used only when Querying using an IndexName$",
        local="Cannot specify the (ProjectionExpression|AttributesToGet) when choosing to get "
        "ALL_PROJECTED_ATTRIBUTES$",
    ),
    Explained(
        "a start in another partition is outside of the query, whatever its sort key",
        operation="^Query$",
        atoll=VALIDATION + "The provided starting key is outside query boundaries based on provided conditions$",
        local=VALIDATION + "The provided starting key does not match the range key predicate$",
    ),
    Explained(
        "where a query starts is checked before its filter is looked at",
        operation="^Query$",
        request="ExclusiveStartKey",
        atoll=VALIDATION + "The provided starting key ",
        local=VALIDATION + "Key attributes must be scalars;",
    ),
    Explained(
        "the paths of a scan are checked before its Select",
        operation="^Scan$",
        request='"Select": "ALL_ATTRIBUTES"',
        atoll=VALIDATION + "Key attributes must be scalars;",
        local=VALIDATION + ".*: Select type ALL_ATTRIBUTES is not supported for global secondary index ",
    ),
    Explained(
        "what a scan shows is checked before where it starts",
        operation="^Scan$",
        request="ExclusiveStartKey",
        atoll=VALIDATION + "Key attributes must be scalars;",
        local=VALIDATION + LOCAL_START_KEY_FAULTS,
    ),
    Explained(
        "the text for an ExclusiveStartKey that cannot be one",
        atoll=VALIDATION + "The provided starting key is invalid",
        local=VALIDATION
        + "(Exclusive Start Key must have same size|Type mismatch for attribute to update|Supplied AttributeValue is"
        + "|The supplied Item contains a null AttributeValue|Key attributes must be scalars)",
    ),
    Explained(
        "a starting key with an empty partition key is invalid, whatever it would restart",
        operation="^(Query|Scan)$",
        request="ExclusiveStartKey",
        atoll=VALIDATION + "The provided starting key is invalid: One or more parameter values are not valid. ",
        local=VALIDATION
        + "The query can return at most one row and cannot be restarted. The provided starting key is invalid: One or "
        + "more parameter values are not valid. ",
    ),
    Explained(
        "texts print numbers as they are stored",
        atoll="The BETWEEN operator requires .*lower bound operand: .*upper bound operand: ",
        local="The BETWEEN operator requires .*lower bound operand: .*upper bound operand: ",
    ),
    Explained(
        "names in a text are sorted, and types are those that clients know",
        atoll=SETS_IN_TEXTS,
        local=SETS_IN_TEXTS,
    ),
    Explained(
        "changed parts of a document come back alone, without what stands beside them",
        operation="^UpdateItem$",
        request='"ReturnValues": "UPDATED_(OLD|NEW)"',
        atoll="^success$",
        local="^success$",
        agree=agreements.except_unchanged_parts,
    ),
    Explained(
        "a statement returns changed parts of a document alone, too",
        operation="^ExecuteStatement$",
        request="RETURNING MODIFIED (OLD|NEW)",
        atoll="^success$",
        local="^success$",
        agree=agreements.except_unchanged_parts_of_items,
    ),
    Explained(
        "an update needs no UpdateExpression, whatever it returns; DynamoDB Local fails",
        operation="^UpdateItem$",
        atoll="^success$",
        local="^500 InternalFailure",
    ),
    Explained(
        "the text for projected attributes of what is not an index",
        operation="^(Query|Scan)$",
        atoll=VALIDATION
        + "One or more parameter values were invalid: "
        + "ALL_PROJECTED_ATTRIBUTES can be used only when Querying using an IndexName$",
        local=VALIDATION + "ALL_PROJECTED_ATTRIBUTES can be used only when Querying using an IndexName$",
    ),
    Explained(
        "the texts for half a parallel scan",
        operation="^Scan$",
        atoll=VALIDATION
        + "The (Total)?Segments? parameter is required but was not present in the request when "
        + "(parameter TotalSegments|Segment parameter) is present$",
        local=VALIDATION
        + "If (total segments is specified, a particular segment|segment is specified, total segment) must also be "
        + "specified",
    ),
    Explained(
        "Select is checked against the other parameters before expressions, keys and indexes are looked at",
        operation="^(Query|Scan)$",
        request='"Select": ',
        atoll=VALIDATION
        + "(Cannot specify the (ProjectionExpression|AttributesToGet) when choosing to get "
        + "(ALL_(PROJECTED_)?ATTRIBUTES|only the Count)$"
        + "|Must specify the AttributesToGet or ProjectionExpression when choosing to get SPECIFIC_ATTRIBUTES$"
        + "|.*: ALL_PROJECTED_ATTRIBUTES can be used only when Querying using an IndexName$)",
        local=VALIDATION
        + f"({EXPRESSION_FAULTS}|{LOCAL_INDEX_FAULTS}|{LOCAL_KEY_CONDITION_FAULTS}|{LOCAL_START_KEY_FAULTS}"
        + f"|{LEGACY_FAULTS}|{LOCAL_KEY_FAULTS})",
    ),
    Explained(
        "a query without key condition is refused before its other expressions are looked at",
        operation="^Query$",
        atoll=VALIDATION + "Either the KeyConditions or KeyConditionExpression parameter must be specified",
        local=VALIDATION + f"({EXPRESSION_FAULTS}|{LOCAL_INDEX_FAULTS})",
    ),
    Explained(
        "half a parallel scan is told before faults of expressions",
        operation="^Scan$",
        atoll=VALIDATION + r"The (Total)?Segments? parameter is required but was not present in the request when ",
        local=VALIDATION + f"({EXPRESSION_FAULTS}|{LOCAL_INDEX_FAULTS}|{LOCAL_KEY_CONDITION_FAULTS})",
    ),
    Explained(
        "two languages in one request are told before what either of them says",
        atoll=VALIDATION + "Can not use both expression and non-expression parameters in the same request: ",
        local=VALIDATION
        + f"({EXPRESSION_FAULTS}|Cannot have two attributes with the same name$"
        + r"|.*: (ComparisonOperator \w+ is not valid|Invalid number of argument\(s\) for the \w+ ComparisonOperator$)"
        + "|The BETWEEN condition was provided a range|Attempted conditional constraint)",
    ),
    Explained(
        "what is wrong with a projection of an index is told before its conditions are looked at",
        atoll=VALIDATION
        + "(Filter Expression can only|Cannot specify the|.*Global secondary index \\S+ does not project"
        + "|.*Select type ALL_ATTRIBUTES is not supported)",
        local=VALIDATION
        + "(Filter Expression can only|Key attributes must be scalars|Conditions can be of length"
        + "|.*Condition parameter type does not match|.*does not project one or more filter attributes"
        + "|Exclusive Start Key)",
    ),
    Explained(
        "a query's key condition is checked before its other expressions, also by its values",
        operation="^Query$",
        atoll=VALIDATION + "Invalid KeyConditionExpression: ",
        local=VALIDATION + "Invalid (Filter|Projection)Expression: ",
    ),
    Explained(
        "what a query asks of keys is checked one by one, then together, then what it shows",
        operation="^Query$",
        atoll=VALIDATION
        + "(.*Condition parameter type does not match schema type|Query (condition missed|key condition not supported)"
        + "|Conditions can be of length)",
        local=VALIDATION + "(Key attributes must be scalars|Query key condition not supported)",
    ),
    Explained(
        "expressions are checked before keys and indexes",
        atoll=VALIDATION + EXPRESSION_FAULTS,
        local="^400 (ValidationException|TransactionCanceledException): "
        f"({LOCAL_KEY_FAULTS}|{LOCAL_INDEX_FAULTS}|{LOCAL_KEY_CONDITION_FAULTS}|{LOCAL_START_KEY_FAULTS}"
        "|Invalid table/index name)",
    ),
    Explained(
        "the text for consistent reads of a global index, told before its conditions are looked at",
        atoll=VALIDATION + "Consistent reads are not supported on global secondary indexes$",
        local=VALIDATION
        + "(Consistent read cannot be true when (querying|scanning) a GSI$|Conditions can be of length"
        + "|Key attributes must be scalars;)",
    ),
    Explained(
        "a page may start at the last key of an inclusive range, and find nothing",
        operation="^Query$",
        request=INCLUSIVE,
        atoll="^success$",
        local=VALIDATION + "The provided starting key does not match the range key predicate$",
    ),
    Explained(
        "a table without sort key cannot be queried from a starting key",
        operation="^Query$",
        request="ExclusiveStartKey",
        atoll="The query can return at most one row and cannot be restarted$",
        local="^success$|" + VALIDATION + "The provided starting key does not match the range key predicate$",
    ),
]

LEGACY = [
    Explained(
        "of two faults of legacy conditions either may be told",
        request="AttributeValueList",
        atoll=VALIDATION + ".*(Duplicate value in attribute name|must be of same type$|ComparisonOperator)",
        local=VALIDATION + ".*(Attempted conditional constraint|ComparisonOperator)",
    ),
    Explained(
        "what each table is asked is checked before two languages among them are told",
        operation="^BatchGetItem$",
        atoll=VALIDATION + "(Invalid ProjectionExpression: |Empty attribute name$|Supplied AttributeValue is empty)",
        local=VALIDATION + "Can not use both expression and non-expression parameters",
    ),
    Explained(
        "actions are checked for their types before conditions are, and both before the item is read",
        operation="^UpdateItem$",
        atoll=VALIDATION + "One or more parameter values were invalid: (ADD|DELETE) action |.*must be of same type$",
        local="ConditionalCheckFailedException|ConditionalOperator can only|.*ComparisonOperator"
        "|The BETWEEN condition was provided a range"
        "|Type mismatch for attribute to update$|must be of same type$"
        "|Updates on index keys must be of the same data type as the key attribute$",
    ),
    Explained(
        "attributes to get and the filter of a query are checked before its key conditions",
        operation="^Query$",
        request="KeyConditions",
        atoll=VALIDATION + LEGACY_FAULTS,
        local=VALIDATION
        + "(Conditions can be of length|Query (key condition not|condition missed)|Attempted conditional"
        + "|Only scalar types can be used|One or more parameter values are not valid"
        + "|.*Condition parameter type does not match|.*does not project one or more filter attributes: "
        + "|.*: Global secondary index \\S+ does not project )",
    ),
    Explained(
        "legacy conditions are checked before the keys that an item has for indexes",
        operation="^PutItem$",
        request='"Expected"',
        atoll=VALIDATION + LEGACY_FAULTS,
        local=VALIDATION
        + "(Invalid attribute value type$|.*A value specified for a secondary index key is not supported"
        + "|.*: Type mismatch for Index Key$)",
    ),
    Explained(
        "the text for operators that cannot search an index",
        operation="^Query$",
        atoll="Attempted conditional constraint is not an indexable operation$",
        local="Only scalar types can be used as Range Key values$",
    ),
    Explained(
        "attributes given twice are named",
        atoll="Duplicate value in attribute name: ",
        local="Cannot have two attributes with the same name$",
    ),
    Explained(
        "types have their short names in texts",
        atoll=r"(DELETE|ADD) action .*is not supported for the type \w+$",
        local=r"(DELETE|ADD) action .*is not supported for the type \w+$",
    ),
]

TRANSACTIONS = [
    Explained(
        "a write that its item or its key makes impossible cancels the transaction, with a reason",
        operation="^TransactWriteItems$",
        atoll=r"TransactionCanceledException: .*\[.*ValidationError",
        local=VALIDATION + f"({LOCAL_ACTION_FAULTS}|{LOCAL_KEY_FAULTS})",
    ),
    Explained(
        "a transaction that its keys make impossible is cancelled with a list of reasons",
        operation="^Transact(Write|Get)Items$",
        atoll=r"TransactionCanceledException: .*\[.*ValidationError",
        local="^400 (ValidationException|TransactionCanceledException): "
        "(The number of conditions on|Invalid attribute value|.*Type mismatch for key|.*Value for a key attribute"
        "|One of the required keys was not given a value$"
        "|Hash primary key values must be under|Key attributes must be scalars; "
        r"|.*\[(None, )*ValidationError(, None)*\])",
    ),
    Explained(
        "one key in two spellings is one item",
        operation="^TransactWriteItems$",
        request='"numbered"|"indexed"',
        atoll=VALIDATION + "Transaction request cannot include multiple operations on one item$",
        local=f"^success$|{VALIDATION}{LOCAL_ACTION_FAULTS}|TransactionCanceledException: Transaction cancelled, ",
    ),
    Explained(
        "the text for a member of a transaction without an action",
        operation="^TransactWriteItems$",
        atoll=VALIDATION + "TransactItems can only contain one of Check, Put, Update or Delete$",
        local=VALIDATION + "Invalid Request: TransactWriteRequest should contain",
    ),
    Explained(
        "a member of a transaction without an action is told before the faults of others",
        operation="^TransactWriteItems$",
        atoll=VALIDATION + "TransactItems can only contain one of Check, Put, Update or Delete$",
        local=VALIDATION + f"({EXPRESSION_FAULTS}|Supplied AttributeValue is empty)",
    ),
    Explained(
        "one item twice is told before anything is done, and before keys that cannot be",
        operation="^(TransactWriteItems|TransactGetItems|ExecuteTransaction)$",
        atoll=VALIDATION + "Transaction request cannot include multiple operations on one item$",
        local="^400 (ValidationException|TransactionCanceledException): "
        f"({LOCAL_ACTION_FAULTS}|{LOCAL_KEY_FAULTS}|Key attributes must be scalars; |Transaction cancelled, )",
    ),
    Explained(
        "a missing table is told before anything about items",
        operation="^(Transact(Write|Get)Items|BatchWriteItem)$",
        atoll="ResourceNotFoundException: Requested resource not found$",
        local="^400 (ValidationException|TransactionCanceledException): "
        f"({LOCAL_ACTION_FAULTS}|{LOCAL_KEY_FAULTS}|Key attributes must be scalars; |Transaction cancelled, )",
    ),
]

PARTIQL = [
    Explained(
        "the service's code for an item that is there already",
        operation="^(Execute|BatchExecute)Statement$",
        atoll="DuplicateItemException: Duplicate primary key exists in table$",
        local="DuplicateItem: Duplicate primary key exists in table$",
    ),
    Explained(
        "statements that cannot be carried out cancel a transaction, each with its reason",
        operation="^ExecuteTransaction$",
        atoll=r"TransactionCanceledException: .*\[.*(DuplicateItem|ValidationError)",
        local=f"{VALIDATION}({LOCAL_ACTION_FAULTS}|{LOCAL_KEY_FAULTS})"
        r"|TransactionCanceledException: .*\[.*ValidationError",
    ),
    Explained(
        "a column behind an element of a list has the last name of its path; DynamoDB Local shows it in the element",
        operation="^ExecuteStatement$",
        request=r"SELECT [^*]*\[\d\][.\[].* FROM",
        atoll="^success$",
        local="^success$",
        agree=agreements.except_names_of_columns,
    ),
    Explained(
        "an order by a key that is not shown, some conditions on keys of an index; DynamoDB Local fails",
        operation="^ExecuteStatement$",
        request=" ORDER BY |indexed",
        atoll="^success$",
        local="^500 InternalFailure",
    ),
    Explained(
        "a statement with a key of an index asks for nothing that the index lacks; DynamoDB Local looks elsewhere",
        operation="^ExecuteStatement$",
        request=r"FROM [^ ]*indexed[^ ]*\.[^ ]*(by-i|by-bin|a-sk|only-b).* WHERE ",
        atoll=VALIDATION + r".*: Secondary index \S+ does not project one or more filter attributes: ",
        local="^success$|^500 InternalFailure|"
        + VALIDATION
        + r"Variable reference \w+ in ORDER BY clause must be part of ",
    ),
    Explained(
        "to a statement's condition, what an index does not hold is missing; DynamoDB Local looks into the table",
        operation="^ExecuteStatement$",
        request=r"FROM [^ ]*indexed[^ ]*\.[^ ]*(by-i|by-bin|a-sk|only-b).* WHERE ",
        atoll="^success$",
        local="^success$",
        agree=agreements.except_items_of_condition,
    ),
    Explained(
        "of several partitions none is read twice; DynamoDB Local does, if a list names it twice or a page ends in it",
        operation="^ExecuteStatement$",
        request=r"SELECT .* IN \[",
        atoll="^success$",
        local="^success$",
        agree=agreements.except_repeated_items,
    ),
    Explained(
        "one partition in two alternatives ends no other condition; DynamoDB Local forgets that of the sort key",
        operation="^ExecuteStatement$",
        request=r"SELECT .* WHERE .*\(\w+ = \S+ OR \w+ = \S+\) AND ",
        atoll="^success$",
        local="^success$",
        agree=agreements.except_items_beside_condition,
    ),
    Explained(
        "all values that a key is compared with have its type, and none is empty; DynamoDB Local looks at one of them",
        operation="^ExecuteStatement$",
        request=r"SELECT .* (IN \[|OR |AND )",
        atoll=VALIDATION
        + "(One or more parameter values were invalid: Condition parameter type does not match schema type$"
        + "|.*The AttributeValue for a key attribute cannot contain an empty )",
        local=r"^success$|Variable reference \w+ in ORDER BY clause must be part of the primary key$"
        r"|.*: Global secondary index \S+ does not project \[",
    ),
    Explained(
        "the type that a function asks for is not a value of the key that it asks about",
        operation="^ExecuteStatement$",
        request=r"FROM [^ ]*indexed[^ ]*\.[^ ]* WHERE .*attribute_type\(",
        atoll="^success$",
        local=VALIDATION + ".*: Condition parameter type does not match schema type$",
    ),
    Explained(
        "a statement's columns and actions are checked before its condition",
        operation="^Execute(Statement|Transaction)$",
        atoll=VALIDATION + OF_STATEMENT + "Two document paths (overlap|conflict) with each other; ",
        local=VALIDATION
        + OF_STATEMENT
        + "(Incorrect operand type for operator or function; "
        + "|The BETWEEN operator requires (same data type|upper bound))",
    ),
    Explained(
        "what a statement compares a key of an index with, or a key beside a list or <>, is told as for any key",
        operation="^ExecuteStatement$",
        request=r"FROM [^ ]*indexed[^ ]*\.| IN \[| <> ",
        atoll=VALIDATION
        + "(Key attribute's data type should match its data type in table's schema: Key "
        + "|.*The AttributeValue for a key attribute cannot contain an empty (string|binary) value. Key: )",
        local=VALIDATION
        + "(.*: Condition parameter type does not match schema type$"
        + "|.*A value specified for a secondary index key is not supported.* cannot contain an empty)",
    ),
]

# What the service was seen to answer in 2026, otherwise than DynamoDB Local.
SEEN_IN_2026 = [
    Explained(
        "a zero is judged by its exponent",
        request=r'"-?0+\.?0*[eE][+-]?\d{3,}"',
        atoll=VALIDATION + ".*Number (over|under)flow",
        local=f"^success$|ConditionalCheckFailedException|{VALIDATION}{LOCAL_KEY_FAULTS}",
    ),
    Explained(
        "an exponent that does not fit into 32 bits cannot be read",
        request=r'[eE][+-]?\d{10,}"',
        atoll=VALIDATION + ".*The parameter cannot be converted to a numeric value",
        local=VALIDATION + ".*Number (over|under)flow",
    ),
    Explained(
        "a condition on a key of several attributes names the attribute that lacks equality",
        operation="^Query$",
        atoll=VALIDATION + r"(HASH|RANGE) key attributes \S+ must have equality conditions specified in the query",
        local=VALIDATION + "(Query condition missed key schema element|Query key condition not supported$)",
    ),
    Explained(
        "an empty key value fails a transaction as a whole, before DynamoDB Local tells the first action that fails",
        operation="^Transact(Get|Write)Items$",
        atoll=VALIDATION + r"One or more parameter values are not valid\. .* empty (string|binary) value",
        local=r"TransactionCanceledException: .*\[.*ValidationError|"
        + f"{VALIDATION}({LOCAL_ACTION_FAULTS}|{LOCAL_KEY_FAULTS})",
    ),
    Explained(
        "the text for a transaction that is too large",
        operation="^Transact",
        atoll=VALIDATION + "The transaction payload's size cannot exceed ",
        local=VALIDATION + "Transaction request cannot be larger",
    ),
    Explained(
        "a nested REMOVE of a missing item does nothing",
        operation="^(UpdateItem|TransactWriteItems)$",
        request=r'"UpdateExpression": "[^"]*(?i:REMOVE) [^"]*[.\[]',
        atoll="^success$|^400 TransactionCanceledException: .*ConditionalCheckFailed",
        local=VALIDATION + "The document path provided in the update expression is invalid for update$",
    ),
    Explained(
        "a text that is not a statement is refused with a reason instead of the text",
        operation="Statement$|^ExecuteTransaction$",
        atoll=VALIDATION + OF_STATEMENT + "Statement wasn't well formed, can't be processed: ",
        local=VALIDATION + OF_STATEMENT + "Statement wasn't well formed, can't be processed: ",
    ),
    Explained(
        "an update may begin with FROM",
        operation="Statement$|^ExecuteTransaction$",
        request=r'"Statement": "(?i:from) ',
        local=VALIDATION + OF_STATEMENT + "Statement wasn't well formed, can't be processed: ",
    ),
    Explained(
        "functions have positions in texts, and a set's first argument",
        operation="Statement$|^ExecuteTransaction$",
        atoll=VALIDATION + OF_STATEMENT + r"(Unrecognized function: |The first argument to SET_).* at \d+:\d+:\d+$",
        local=VALIDATION + OF_STATEMENT + "(Unrecognized function: |The first argument to SET_)",
    ),
    Explained(
        "empty bags have no position",
        operation="Statement$|^ExecuteTransaction$",
        atoll=VALIDATION + OF_STATEMENT + "Empty bags are not supported$",
        local=VALIDATION + OF_STATEMENT + "Empty bags are not supported at ",
    ),
    Explained(
        "a repeated member of a bag is shown",
        operation="Statement$|^ExecuteTransaction$",
        atoll=VALIDATION + OF_STATEMENT + r".*: Input collection \[.*\] contains duplicates\.$",
        local=VALIDATION + OF_STATEMENT + "Input collection contains duplicates$",
    ),
    Explained(
        "a number literal out of range has the text of numbers, and its place",
        operation="Statement$|^ExecuteTransaction$",
        atoll=VALIDATION + OF_STATEMENT + "(Number (over|under)flow|Attempting to store more than 38 ).* under root",
        local=VALIDATION + OF_STATEMENT + "(Number (over|under)flow|DynamoDB only supports precision up to 38 digits)",
    ),
    Explained(
        "an unknown index is not named to a statement",
        operation="^ExecuteStatement$",
        atoll=VALIDATION + "The table does not have the specified index$",
        local=VALIDATION + "(The table does not have the specified index: |Consistent read)",
    ),
]

EXPLAINED = [*SHAPES, *TABLES, *VALUES, *EXPRESSIONS, *LEGACY, *TRANSACTIONS, *PARTIQL, *SEEN_IN_2026]
