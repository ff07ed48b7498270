"""The errors for requests about items, word for word: each case is a rule of the service with a request that
breaks it. test_exact_order.py tests the order of the checks."""

from __future__ import annotations

from typing import Any

import pytest

pytestmark = pytest.mark.error_style("classic")

KEY = {"pk": {"S": "a"}, "sk": {"N": "1"}}
INVALID = "One or more parameter values were invalid: "
AT = "' failed to satisfy constraint: Member must "
VALUE = {":v": {"S": "x"}}
LONG = "x" * 410_000

Case = Any


def rule(sentence: str, operation: str, body: dict[str, Any], message: str, code: str = "Validation") -> Case:
    return pytest.param(operation, body, f"{code}Exception", message, id=sentence)


def put(item: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"TableName": "Exact", "Item": {**KEY, **item}, **more}


def of(attribute: Any) -> dict[str, Any]:
    return put({"x": attribute})


def key(**more: Any) -> dict[str, Any]:
    return {"TableName": "Exact", "Key": KEY, **more}


def update(text: str, values: Any = None, **more: Any) -> dict[str, Any]:
    return key(UpdateExpression=text, **({"ExpressionAttributeValues": values} if values else {}), **more)


def condition(text: str, values: Any = VALUE, **more: Any) -> dict[str, Any]:
    return put({}, ConditionExpression=text, **({"ExpressionAttributeValues": values} if values else {}), **more)


def query(text: str = "pk = :p", values: Any = None, **more: Any) -> dict[str, Any]:
    values = {":p": {"S": "a"}} | (values or {})
    return {"TableName": "Exact", "KeyConditionExpression": text, "ExpressionAttributeValues": values, **more}


def scan(**more: Any) -> dict[str, Any]:
    return {"TableName": "Exact", **more}


def writes(*requests: Any, table: str = "Exact") -> dict[str, Any]:
    return {"RequestItems": {table: list(requests)}}


@pytest.fixture
def exact(service: Any) -> Any:
    service.table(
        "Exact",
        sort="N",
        types={"g": "S", "b": "B", "l": "S"},
        GlobalSecondaryIndexes=[
            {"IndexName": "global", "KeySchema": [{"AttributeName": "g", "KeyType": "HASH"}],
             "Projection": {"ProjectionType": "KEYS_ONLY"}},
            {"IndexName": "binary", "KeySchema": [{"AttributeName": "b", "KeyType": "HASH"}],
             "Projection": {"ProjectionType": "ALL"}},
        ],
        LocalSecondaryIndexes=[
            {"IndexName": "local", "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"},
             {"AttributeName": "l", "KeyType": "RANGE"}], "Projection": {"ProjectionType": "KEYS_ONLY"}},
        ],
    )  # fmt: skip
    service.table("Hash")
    service.put_item(TableName="Exact", Item={**KEY, "s": {"S": "x"}, "n": {"N": "1"}, "list": {"L": []}})
    return service


# What the messages of several rules have in common
MANY_TYPES = (
    "Supplied AttributeValue has more than one datatypes set, must contain exactly one of the supported datatypes"
)
NAME_PATTERN = "satisfy regular expression pattern: [a-zA-Z0-9_.-]+"
SELECTS = "[SPECIFIC_ATTRIBUTES, COUNT, ALL_ATTRIBUTES, ALL_PROJECTED_ATTRIBUTES]"
DISTINCT = (
    "The first operand must be distinct from the remaining operands for this operator or function; "
    "operator: {}, first operand: [a]"
)
EMPTY_KEY = (
    "One or more parameter values are not valid. The AttributeValue for a key attribute cannot contain an empty "
    "{} value. Key: {}"
)
EMPTY_INDEX_KEY = (
    "One or more parameter values are not valid. A value specified for a secondary index key is not supported. The "
    "AttributeValue for a key attribute cannot contain an empty string value. IndexName: global, IndexKey: g"
)
EMPTY_UPDATED_KEY = (
    "One or more parameter values are not valid. The update expression attempted to update a secondary index key to a "
    "value that is not supported. The AttributeValue for a key attribute cannot contain an empty string value."
)
SCALARS = "Key attributes must be scalars; list random access '[]' and map lookup '.' are not allowed: "
MIXED = "Can not use both expression and non-expression parameters in the same request: "
START = {"ExclusiveStartKey": {"pk": {"S": "a"}, "sk": {"N": "1"}}}

CONSTRAINTS = [
    rule("a table's name is missing", "PutItem", {"Item": KEY},
         f"1 validation error detected: Value null at 'tableName{AT}not be null"),
    rule("a table's name is empty", "PutItem", {"TableName": "", "Item": KEY},
         f"1 validation error detected: Value '' at 'tableName{AT}have length greater than or equal to 1"),
    rule("a table's name has characters it may not have", "GetItem", {"TableName": "bad table!@#", "Key": KEY},
         f"1 validation error detected: Value 'bad table!@#' at 'tableName{AT}{NAME_PATTERN}"),
    rule("an index's ARN is not a table's name", "GetItem",
         {"TableName": "arn:aws:dynamodb:us-east-1:000000000000:table/Exact/index/global", "Key": KEY},
         "1 validation error detected: Value 'arn:aws:dynamodb:us-east-1:000000000000:table/Exact/index/global' at "
         f"'tableName{AT}{NAME_PATTERN}"),
    rule("a table of another account", "GetItem",
         {"TableName": "arn:aws:dynamodb:us-east-1:999999999999:table/Exact", "Key": KEY},
         "The request is not authorized on resource: arn:aws:dynamodb:us-east-1:999999999999:table/Exact",
         "AccessDenied"),
    rule("no such table", "GetItem", {"TableName": "None", "Key": KEY}, "Requested resource not found",
         "ResourceNotFound"),
    rule("no such table in a batch of reads", "BatchGetItem", {"RequestItems": {"None": {"Keys": [KEY]}}},
         "Requested resource not found", "ResourceNotFound"),
    rule("no such table in a batch of writes", "BatchWriteItem", writes({"DeleteRequest": {"Key": KEY}}, table="None"),
         "Requested resource not found", "ResourceNotFound"),
    rule("no such table in a transaction", "TransactWriteItems",
         {"TransactItems": [{"Delete": {"TableName": "None", "Key": KEY}}]}, "Requested resource not found",
         "ResourceNotFound"),
    rule("a limit of zero in a query", "Query", query(Limit=0),
         f"1 validation error detected: Value at 'Limit{AT}have value greater than or equal to 1"),
    rule("a limit of zero in a scan", "Scan", scan(Limit=0),
         f"1 validation error detected: Value '0' at 'limit{AT}have value greater than or equal to 1"),
    rule("Select lists what it takes in the service's order", "Query", query(Select="X"),
         f"1 validation error detected: Value 'X' at 'select{AT}satisfy enum value set: {SELECTS}"),
    rule("a JSON number where a number's text belongs", "PutItem", of({"N": 123}),
         "NUMBER_VALUE cannot be converted to String", "Serialization"),
    rule("a JSON boolean where a string belongs", "PutItem", of({"S": True}),
         "TRUE_VALUE cannot be converted to String", "Serialization"),
    rule("a put returns nothing new", "PutItem", put({}, ReturnValues="ALL_NEW"),
         "ReturnValues can only be ALL_OLD or NONE"),
    rule("a deletion returns nothing updated", "DeleteItem", key(ReturnValues="UPDATED_OLD"),
         "ReturnValues can only be ALL_OLD or NONE"),
]  # fmt: skip

MULTI = [
    rule("no tables to read from", "BatchGetItem", {"RequestItems": {}},
         "The requestItems parameter is required for BatchGetItem"),
    rule("no tables to write to", "BatchWriteItem", {"RequestItems": {}},
         "The requestItems parameter is required for BatchWriteItem"),
    rule("more than 100 keys", "BatchGetItem", {"RequestItems": {"Exact": {"Keys": [KEY] * 101}}},
         f"1 validation error detected: Value at 'RequestItems.Exact.member.Keys{AT}"
         "have length less than or equal to 100"),
    rule("a key twice in a batch of reads", "BatchGetItem",
         {"RequestItems": {"Exact": {"Keys": [KEY, {"pk": {"S": "a"}, "sk": {"N": "1.0"}}]}}},
         "Provided list of item keys contains duplicates"),
    rule("a put and a deletion of one key in a batch", "BatchWriteItem",
         writes({"PutRequest": {"Item": KEY}}, {"DeleteRequest": {"Key": KEY}}),
         "Provided list of item keys contains duplicates"),
    rule("a request of a batch that does nothing", "BatchWriteItem", writes({}),
         MANY_TYPES),
    rule("an item of a batch without its key", "BatchWriteItem", writes({"PutRequest": {"Item": {"x": {"S": "a"}}}}),
         "The provided key element does not match the schema"),
    rule("an item of a batch with a key of another type", "BatchWriteItem",
         writes({"PutRequest": {"Item": {**KEY, "sk": {"S": "1"}}}}),
         "The provided key element does not match the schema"),
    rule("one item of a batch is too large", "BatchWriteItem",
         writes({"PutRequest": {"Item": {**KEY, "x": {"S": LONG}}}}, {"DeleteRequest": {"Key": KEY}}),
         "Item size has exceeded the maximum allowed size"),
    rule("an empty transaction", "TransactWriteItems", {"TransactItems": []},
         f"1 validation error detected: Value '[]' at 'transactItems{AT}have length greater than or equal to 1"),
    rule("an item twice in a transaction", "TransactWriteItems",
         {"TransactItems": [{"Put": put({})}, {"Delete": key()}]},
         "Transaction request cannot include multiple operations on one item"),
    rule("an item twice in a transaction of reads", "TransactGetItems",
         {"TransactItems": [{"Get": key()}, {"Get": key()}]},
         "Transaction request cannot include multiple operations on one item"),
    rule("an item of a transaction is too large", "TransactWriteItems", {"TransactItems": [{"Put": of({"S": LONG})}]},
         "Item size has exceeded the maximum allowed size"),
    rule("a key that lacks an attribute cancels the transaction", "TransactWriteItems",
         {"TransactItems": [{"Delete": {"TableName": "Exact", "Key": {"pk": {"S": "a"}}}}]},
         "Transaction cancelled, please refer cancellation reasons for specific reasons [ValidationError]",
         "TransactionCanceled"),
    rule("an update that makes an item too large cancels the transaction", "TransactWriteItems",
         {"TransactItems": [{"Update": update("SET x = :v", {":v": {"S": "x" * 409_590}})}]},
         "Transaction cancelled, please refer cancellation reasons for specific reasons [ValidationError]",
         "TransactionCanceled"),
    rule("each refusal of a transaction has its position", "TransactWriteItems",
         {"TransactItems": [
             {"Put": {"TableName": "Exact", "Item": {**KEY, "sk": {"N": "2"}}}},
             {"Delete": key(ConditionExpression="attribute_not_exists(pk)")},
         ]},
         "Transaction cancelled, please refer cancellation reasons for specific reasons [None, ConditionalCheckFailed]",
         "TransactionCanceled"),
]  # fmt: skip

NUMBERS = [
    rule("38 digits at most", "PutItem", of({"N": "1" * 39}),
         "Attempting to store more than 38 significant digits in a Number"),
    rule("a number too large", "PutItem", of({"N": "1e126"}),
         "Number overflow. Attempting to store a number with magnitude larger than supported range"),
    rule("a number too small", "PutItem", of({"N": "1e-131"}),
         "Number underflow. Attempting to store a number with magnitude smaller than supported range"),
    rule("no number", "PutItem", of({"N": "x"}), "The parameter cannot be converted to a numeric value: x"),
    rule("no number at all", "PutItem", of({"N": ""}), "The parameter cannot be converted to a numeric value"),
    rule("a number with a space", "PutItem", of({"N": " 1"}),
         "The parameter cannot be converted to a numeric value:  1"),
]  # fmt: skip

VALUES = [
    rule("an empty set of strings", "PutItem", of({"SS": []}), INVALID + "An string set  may not be empty"),
    rule("an empty set of numbers", "PutItem", of({"NS": []}), INVALID + "An number set  may not be empty"),
    rule("an empty set of binaries", "PutItem", of({"BS": []}), INVALID + "Binary sets should not be empty"),
    rule("an empty set in a list", "PutItem", of({"L": [{"SS": []}]}), INVALID + "An string set  may not be empty"),
    rule("an empty set in a map", "PutItem", of({"M": {"a": {"SS": []}}}), INVALID + "An string set  may not be empty"),
    rule("a string twice in a set", "PutItem", of({"SS": ["a", "a"]}),
         INVALID + "Input collection [a, a] contains duplicates."),
    rule("numbers of a set are compared by value", "PutItem", of({"NS": ["1000", "1e3"]}),
         "Input collection contains duplicates"),
    rule("NULL is true", "PutItem", of({"NULL": False}),
         INVALID + "Null attribute value types must have the value of true"),
    rule("an empty attribute value", "PutItem", of({}),
         "Supplied AttributeValue is empty, must contain exactly one of the supported datatypes"),
    rule("a value of two types", "PutItem", of({"S": "a", "N": "1"}),
         MANY_TYPES),
    rule("an item of more than 400 KB", "PutItem", of({"S": LONG}), "Item size has exceeded the maximum allowed size"),
    rule("an update to more than 400 KB", "UpdateItem", update("SET x = :v", {":v": {"S": "x" * 409_590}}),
         "Item size to update has exceeded the maximum allowed size"),
]  # fmt: skip

KEYS = [
    rule("an item without its key", "PutItem", {"TableName": "Exact", "Item": {"pk": {"S": "a"}}},
         INVALID + "Missing the key sk in the item"),
    rule("an item with a key of another type", "PutItem", put({"sk": {"S": "a"}}),
         INVALID + "Type mismatch for key sk expected: N actual: S"),
    rule("a key of another type", "GetItem", {"TableName": "Exact", "Key": {**KEY, "sk": {"S": "1"}}},
         "The provided key element does not match the schema"),
    rule("a key with more than the key", "DeleteItem", {"TableName": "Exact", "Key": {**KEY, "x": {"S": "1"}}},
         "The provided key element does not match the schema"),
    rule("an empty key in an item", "PutItem", put({"pk": {"S": ""}}), EMPTY_KEY.format("string", "pk")),
    rule("an empty key", "UpdateItem", {"TableName": "Hash", "Key": {"pk": {"S": ""}}},
         EMPTY_KEY.format("string", "pk")),
    rule("a partition key of more than 2048 bytes", "GetItem", {"TableName": "Hash", "Key": {"pk": {"S": "x" * 2049}}},
         INVALID + "Size of hashkey has exceeded the maximum size limit of2048 bytes"),
    rule("an index key of another type", "PutItem", put({"g": {"N": "1"}}),
         INVALID + "Type mismatch for Index Key g Expected: S Actual: N IndexName: global"),
    rule("an update sets an index key to another type", "UpdateItem", update("SET g = :v", {":v": {"N": "1"}}),
         INVALID + "Type mismatch for Index Key g Expected: S Actual: N IndexName: global"),
    rule("an update computes an index key of another type", "UpdateItem", update("SET g = n"),
         "The update expression attempted to update the secondary index key to unsupported type"),
    rule("an empty index key", "PutItem", put({"g": {"S": ""}}), EMPTY_INDEX_KEY),
    rule("an update empties an index key", "UpdateItem", update("SET g = :v", {":v": {"S": ""}}), EMPTY_UPDATED_KEY),
    rule("an index key that AttributeUpdates empty", "UpdateItem",
         {"TableName": "Exact", "Key": KEY, "AttributeUpdates": {"g": {"Value": {"S": ""}}}}, EMPTY_INDEX_KEY),
    rule("an index's partition key of more than 2048 bytes", "PutItem", put({"g": {"S": "x" * 2049}}),
         INVALID + "Size of hashkey has exceeded the maximum size limit of2048 bytes"),
    rule("an index's sort key of more than 1024 bytes", "UpdateItem", update("SET l = :v", {":v": {"S": "x" * 1025}}),
         INVALID + "Aggregated size of all range keys has exceeded the size limit of 1024 bytes"),
    rule("an update of a key", "UpdateItem", update("SET pk = :v", VALUE),
         INVALID + "Cannot update attribute pk. This attribute is part of the key"),
    rule("a removal of a key", "UpdateItem", update("REMOVE sk"),
         INVALID + "Cannot update attribute sk. This attribute is part of the key"),
    rule("a path into a key", "GetItem", key(ProjectionExpression="pk.x"), SCALARS + "Key: pk"),
    rule("a path into an index key", "UpdateItem", update("SET x = g[0]"), SCALARS + "IndexKey: g"),
    rule("a condition on a path into a key", "PutItem", condition("sk.x = :v"), SCALARS + "Key: sk"),
    rule("a projection of a path into a key in a transaction", "TransactGetItems",
         {"TransactItems": [{"Get": key(ProjectionExpression="l.x")}]}, SCALARS + "IndexKey: l"),
]  # fmt: skip

EXPRESSIONS = [
    rule("names that nothing uses, sorted", "UpdateItem",
         update("REMOVE a", ExpressionAttributeNames={"#z": "z", "#b": "b"}),
         "Value provided in ExpressionAttributeNames unused in expressions: keys: {#b, #z}"),
    rule("values that nothing uses", "PutItem", condition("attribute_exists(pk)"),
         "Value provided in ExpressionAttributeValues unused in expressions: keys: {:v}"),
    rule("a name that is not defined", "Scan", scan(FilterExpression="attribute_exists(#missing)"),
         "Invalid FilterExpression: An expression attribute name used in the document path is not defined; "
         "attribute name: #missing"),
    rule("a value that is not defined", "PutItem", condition("a = :w"),
         "Invalid ConditionExpression: An expression attribute value used in expression is not defined; "
         "attribute value: :w"),
    rule("values without an expression", "PutItem", put({}, ExpressionAttributeValues=VALUE),
         "ExpressionAttributeValues can only be specified when using expressions: ConditionExpression is null"),
    rule("values without one of several expressions", "UpdateItem", key(ExpressionAttributeValues=VALUE),
         "ExpressionAttributeValues can only be specified when using expressions: "
         "UpdateExpression and ConditionExpression are null"),
    rule("names without an expression", "GetItem", key(ExpressionAttributeNames={"#a": "a"}),
         "ExpressionAttributeNames can only be specified when using expressions"),
    rule("no names", "GetItem", key(ProjectionExpression="a", ExpressionAttributeNames={}),
         "ExpressionAttributeNames must not be empty"),
    rule("a name that is none", "GetItem", key(ProjectionExpression="a", ExpressionAttributeNames={"a": "a"}),
         'ExpressionAttributeNames contains invalid key: Syntax error; key: "a"'),
    rule("a value that cannot be one", "PutItem", condition("a = :v", {":v": {"SS": []}}),
         f"ExpressionAttributeValues contains invalid value: {INVALID}An string set  may not be empty for key :v"),
    rule("a syntax error shows the token and its neighbour", "UpdateItem", update("INVALID SYNTAX"),
         'Invalid UpdateExpression: Syntax error; token: "INVALID", near: "INVALID SYNTAX"'),
    rule("a syntax error at the start", "GetItem", key(ProjectionExpression="!!"),
         'Invalid ProjectionExpression: Syntax error; token: "!", near: "!!"'),
    rule("a syntax error in the middle shows both neighbours only", "PutItem", condition("a = = :v AND b = :v"),
         'Invalid ConditionExpression: Syntax error; token: "=", near: "= = :v"'),
    rule("a syntax error at the end", "PutItem", condition("a ="),
         'Invalid ConditionExpression: Syntax error; token: "<EOF>", near: "="'),
    rule("an empty expression", "PutItem", condition("", None),
         "Invalid ConditionExpression: The expression can not be empty;"),
    rule("a reserved word", "UpdateItem", update("SET status = :v", VALUE),
         "Invalid UpdateExpression: Attribute name is a reserved keyword; reserved keyword: status"),
    rule("redundant parentheses", "PutItem", condition("((a = :v))"),
         "Invalid ConditionExpression: The expression has redundant parentheses;"),
    rule("an expression of more than 4 KB", "PutItem", condition("a" * 4097, None),
         "Invalid ConditionExpression: Expression size has exceeded the maximum allowed size; expression size: 4097"),
    rule("an unknown function", "PutItem", condition("nothing(a)", None),
         "Invalid ConditionExpression: Invalid function name; function: nothing"),
    rule("functions have lower-case names", "PutItem", condition("ATTRIBUTE_EXISTS(a)", None),
         "Invalid ConditionExpression: Invalid function name; function: ATTRIBUTE_EXISTS"),
    rule("redundant parentheses come before an unknown function", "PutItem", condition("((nothing(a)))", None),
         "Invalid ConditionExpression: The expression has redundant parentheses;"),
    rule("an unknown function comes before a misused one", "PutItem", condition("size(a) AND nothing(a)", None),
         "Invalid ConditionExpression: Invalid function name; function: nothing"),
    rule("a misused function comes before a reserved word", "PutItem", condition("status = :v AND size(a)"),
         "Invalid ConditionExpression: The function is not allowed to be used this way in an expression; "
         "function: size"),
    rule("a reserved word comes before operands", "PutItem", condition("contains(a, a) AND status = :v"),
         "Invalid ConditionExpression: Attribute name is a reserved keyword; reserved keyword: status"),
    rule("an attribute contains itself", "PutItem", condition("contains(a, a)", None),
         "Invalid ConditionExpression: " + DISTINCT.format("contains")),
    rule("an attribute equals itself", "PutItem", condition("a = a", None),
         "Invalid ConditionExpression: " + DISTINCT.format("=")),
    rule("bounds in the wrong order", "PutItem", condition("a BETWEEN :b AND :a", {":a": {"N": "1"}, ":b": {"N": "2"}}),
         "Invalid ConditionExpression: The BETWEEN operator requires upper bound to be greater than or equal to lower "
         "bound; lower bound operand: AttributeValue: {N:2}, upper bound operand: AttributeValue: {N:1}"),
    rule("bounds of two types", "PutItem", condition("a BETWEEN :a AND :b", {":a": {"N": "1"}, ":b": {"S": "2"}}),
         "Invalid ConditionExpression: The BETWEEN operator requires same data type for lower and upper bounds; lower "
         "bound operand: AttributeValue: {N:1}, upper bound operand: AttributeValue: {S:2}"),
    rule("a type that there is not", "PutItem", condition("attribute_type(a, :v)"),
         "Invalid ConditionExpression: Invalid attribute type name found; type: x, "
         "valid types: {B,NULL,SS,BOOL,L,BS,N,NS,S,M}"),
    rule("more than 100 choices", "Scan",
         scan(FilterExpression=f"a IN ({', '.join([':v'] * 101)})", ExpressionAttributeValues=VALUE),
         "Invalid FilterExpression: The IN operator is provided with too many operands; number of operands: 101"),
    rule("two paths overlap", "UpdateItem", update("SET a = :v, a.b = :v", VALUE),
         "Invalid UpdateExpression: Two document paths overlap with each other; must remove or rewrite one of these "
         "paths; path one: [a], path two: [a, b]"),
    rule("two paths conflict", "UpdateItem", update("SET a[0] = :v, a.b = :v", VALUE),
         "Invalid UpdateExpression: Two document paths conflict with each other; must remove or rewrite one of these "
         "paths; path one: [a, [0]], path two: [a, b]"),
    rule("a section twice", "UpdateItem", update("SET a = :v SET b = :v", VALUE),
         'Invalid UpdateExpression: The "SET" section can only be used once in an update expression;'),
    rule("an operand that the item does not have", "UpdateItem", update("SET a = nothing"),
         "The provided expression refers to an attribute that does not exist in the item"),
    rule("a path that leads nowhere", "UpdateItem", update("SET nothing.a = :v", VALUE),
         "The document path provided in the update expression is invalid for update"),
    rule("a sum of a string", "UpdateItem", update("SET a = s + :v", {":v": {"N": "1"}}),
         "An operand in the update expression has an incorrect data type"),
    rule("legacy parameters beside expressions", "PutItem",
         condition("a = :v", Expected={"a": {"Exists": False}}),
         MIXED + "Non-expression parameters: {Expected} Expression parameters: {ConditionExpression}"),
    rule("several of both, each in the service's order", "UpdateItem",
         update("SET a = :v", VALUE, ConditionExpression="b = :v", Expected={"a": {"Exists": False}},
                ConditionalOperator="AND", AttributeUpdates={}),
         MIXED + "Non-expression parameters: {AttributeUpdates, Expected, ConditionalOperator} "
         "Expression parameters: {UpdateExpression, ConditionExpression}"),
    rule("legacy parameters beside a query's expressions", "Query",
         query(ProjectionExpression="a", FilterExpression="a = :p", AttributesToGet=["a"], QueryFilter={}),
         MIXED + "Non-expression parameters: {AttributesToGet, QueryFilter} "
         "Expression parameters: {ProjectionExpression, FilterExpression, KeyConditionExpression}"),
]  # fmt: skip

QUERIES = [
    rule("no partition key", "Query", query("sk = :n", ExpressionAttributeValues={":n": {"N": "1"}}),
         "Query condition missed key schema element: pk"),
    rule("no condition on keys", "Query", scan(),
         "Either the KeyConditions or KeyConditionExpression parameter must be specified in the request."),
    rule("two conditions on a key", "Query", query("pk = :p AND sk > :n AND sk < :n", {":n": {"N": "1"}}),
         "KeyConditionExpressions must only contain one condition per key"),
    rule("a condition on a nested attribute", "Query", query("pk = :p AND sk.x = :p"),
         "Invalid KeyConditionExpression: KeyConditionExpressions cannot have conditions on nested attributes"),
    rule("a prefix of a number", "Query", query("pk = :p AND begins_with(sk, :n)", {":n": {"N": "1"}}),
         "Invalid KeyConditionExpression: Incorrect operand type for operator or function; "
         "operator or function: begins_with, operand type: N"),
    *(rule(f"{word} in a key condition", "Query", query(text),
           f"Invalid operator used in KeyConditionExpression: {word}")
      for word, text in [("<>", "pk <> :p"), ("IN", "pk IN (:p)"), ("OR", "pk = :p OR sk = :p"),
                         ("NOT", "NOT pk = :p"), ("contains", "contains(pk, :p)")]),
    rule("a range of partition keys", "Query", query("pk > :p"), "Query key condition not supported"),
    rule("a key condition of another type", "Query", query("pk = :p AND sk = :p"),
         INVALID + "Condition parameter type does not match schema type"),
    rule("an empty key in a key condition", "Query", query(ExpressionAttributeValues={":p": {"S": ""}}),
         EMPTY_KEY.format("string", "pk")),
    rule("an empty key in a key condition for an index", "Query",
         query("g = :p", IndexName="global", ExpressionAttributeValues={":p": {"S": ""}}), EMPTY_INDEX_KEY),
    rule("an empty key in legacy key conditions for an index", "Query",
         {"TableName": "Exact", "IndexName": "global",
          "KeyConditions": {"g": {"ComparisonOperator": "EQ", "AttributeValueList": [{"S": ""}]}}}, EMPTY_INDEX_KEY),
    rule("a filter on a key", "Query", query(FilterExpression="sk = :n", values={":n": {"N": "1"}}),
         "Filter Expression can only contain non-primary key attributes: Primary key attribute: sk"),
    rule("a legacy filter on a key", "Query",
         scan(KeyConditions={"pk": {"ComparisonOperator": "EQ", "AttributeValueList": [{"S": "a"}]}},
              QueryFilter={"sk": {"ComparisonOperator": "NOT_NULL"}}),
         "QueryFilter can only contain non-primary key attributes: Primary key attribute: sk"),
    rule("a filter on what an index lacks", "Query", query("g = :p", IndexName="global", FilterExpression="z = :p"),
         INVALID + "Secondary index global does not project one or more filter attributes: [z]"),
    rule("a projection of what a global index lacks", "Query",
         query("g = :p", IndexName="global", ProjectionExpression="z, s"),
         INVALID + "Global secondary index global does not project [s, z]"),
    rule("all attributes of a global index that lacks some", "Query",
         query("g = :p", IndexName="global", Select="ALL_ATTRIBUTES"),
         INVALID + "Select type ALL_ATTRIBUTES is not supported for global secondary index global because its "
         "projection type is not ALL"),
    *(rule(f"{member} and Select {select}", "Scan", scan(IndexName="global", Select=select, **{member: given}),
           f"Cannot specify the {member} when choosing to get {what}")
      for member, given in (("ProjectionExpression", "pk"), ("AttributesToGet", ["pk", "pk"]))
      for select, what in (("COUNT", "only the Count"), ("ALL_ATTRIBUTES", "ALL_ATTRIBUTES"),
                           ("ALL_PROJECTED_ATTRIBUTES", "ALL_PROJECTED_ATTRIBUTES"))),
    rule("Select SPECIFIC_ATTRIBUTES of none", "Scan", scan(Select="SPECIFIC_ATTRIBUTES"),
         "Must specify the AttributesToGet or ProjectionExpression when choosing to get SPECIFIC_ATTRIBUTES"),
    rule("a consistent query of a global index", "Query", query("g = :p", IndexName="global", ConsistentRead=True),
         "Consistent reads are not supported on global secondary indexes"),
    rule("a consistent scan of a global index", "Scan", scan(IndexName="global", ConsistentRead=True),
         "Consistent reads are not supported on global secondary indexes"),
    rule("no such index", "Query", query(IndexName="nothing"), "The table does not have the specified index: nothing"),
    rule("a segment without their number", "Scan", scan(Segment=0),
         "The TotalSegments parameter is required but was not present in the request when Segment "
         "parameter is present"),
    rule("the number of segments without one", "Scan", scan(TotalSegments=2),
         "The Segment parameter is required but was not present in the request when parameter "
         "TotalSegments is present"),
    rule("a segment that there is not", "Scan", scan(Segment=5, TotalSegments=5),
         "The Segment parameter is zero-based and must be less than parameter TotalSegments: "
         "Segment: 5 is not less than TotalSegments: 5"),
    rule("a starting key without all keys", "Query", query(ExclusiveStartKey={"pk": {"S": "a"}}),
         "The provided starting key is invalid"),
    rule("a starting key without the index's", "Query", query("g = :p", IndexName="global", **START),
         "The provided starting key is invalid"),
    rule("a starting key of another type", "Scan", scan(ExclusiveStartKey={**KEY, "sk": {"S": "1"}}),
         "The provided starting key is invalid: The provided key element does not match the schema"),
    rule("a starting key with a value that is none", "Scan", scan(ExclusiveStartKey={**KEY, "sk": {}}),
         "The provided starting key is invalid: Supplied AttributeValue is empty, must contain exactly one of the "
         "supported datatypes"),
    rule("a starting key with a number that is none", "Scan", scan(ExclusiveStartKey={**KEY, "sk": {"N": "x"}}),
         "The parameter cannot be converted to a numeric value: x"),
    rule("a starting key with a number that is too long", "Scan", scan(ExclusiveStartKey={"n": {"N": "1" * 39}}),
         "Attempting to store more than 38 significant digits in a Number"),
    rule("a starting key with a number that is too large", "Scan", scan(ExclusiveStartKey={"n": {"N": "1e126"}}),
         "Number overflow. Attempting to store a number with magnitude larger than supported range"),
    rule("a starting key with a number that is too small", "Scan", scan(ExclusiveStartKey={"n": {"N": "1e-131"}}),
         "Number underflow. Attempting to store a number with magnitude smaller than supported range"),
    rule("a starting key with one number twice", "Scan", scan(ExclusiveStartKey={"n": {"NS": ["1", "1"]}}),
         "Input collection contains duplicates"),
    rule("a starting key with no numbers", "Scan", scan(ExclusiveStartKey={"n": {"NS": []}}),
         INVALID + "An number set  may not be empty"),
    rule("a starting key with no strings", "Scan", scan(ExclusiveStartKey={"n": {"SS": []}}),
         "The provided starting key is invalid: " + INVALID + "An string set  may not be empty"),
    rule("a starting key with one string twice", "Scan", scan(ExclusiveStartKey={"n": {"SS": ["a", "a"]}}),
         INVALID + "Input collection [a, a] contains duplicates."),
    # Whether it is called invalid was told by the words of the error, which may be the client's.
    rule("a starting key with a null that is called a number", "Scan", scan(ExclusiveStartKey={"numeric value": None}),
         "The provided starting key is invalid: The supplied Item contains a null AttributeValue: "
         "numeric value is null"),
    rule("a starting key that is empty", "Scan", scan(ExclusiveStartKey={**KEY, "pk": {"S": ""}}),
         "The provided starting key is invalid: " + EMPTY_KEY.format("string", "pk")),
    rule("a starting key that is empty for the index", "Query",
         query("g = :p", IndexName="global", ExclusiveStartKey={**KEY, "g": {"S": ""}}),
         "The provided starting key is invalid: " + EMPTY_INDEX_KEY),
    rule("a starting key of another partition", "Query", query(ExclusiveStartKey={**KEY, "pk": {"S": "b"}}),
         "The provided starting key is outside query boundaries based on provided conditions"),
    rule("a starting key outside the range", "Query", query("pk = :p AND sk > :n", {":n": {"N": "5"}}, **START),
         "The provided starting key does not match the range key predicate"),
    rule("a query for one row does not go on", "Query",
         {**query(ExclusiveStartKey={"pk": {"S": "a"}}), "TableName": "Hash"},
         "The query can return at most one row and cannot be restarted"),
]  # fmt: skip

FAMILIES = {
    "constraints": CONSTRAINTS,
    "multi": MULTI,
    "numbers": NUMBERS,
    "values": VALUES,
    "keys": KEYS,
    "expressions": EXPRESSIONS,
    "queries": QUERIES,
}


@pytest.mark.parametrize(
    ("operation", "body", "code", "message"), [case for family in FAMILIES.values() for case in family]
)
def test_refused_when(exact: Any, operation: str, body: dict[str, Any], code: str, message: str) -> None:
    refusal = exact.refused(operation, **body)
    assert (refusal.code, refusal.message) == (code, message)


def test_too_many_writes_are_quoted_as_java_prints_them(exact: Any) -> None:
    refusal = exact.refused("BatchWriteItem", **writes(*[{"DeleteRequest": {"Key": KEY}}] * 26))
    assert refusal.message.startswith("1 validation error detected: Value '{Exact=[WriteRequest(")
    assert refusal.message.endswith(
        "' at 'requestItems' failed to satisfy constraint: Map value must satisfy constraint: [Member must have length "
        "less than or equal to 25, Member must have length greater than or equal to 1]"
    )


@pytest.mark.parametrize("operation", ["TransactWriteItems", "TransactGetItems"])
def test_a_transaction_of_more_than_a_hundred_items(exact: Any, operation: str) -> None:
    part = {"Delete": key()} if operation == "TransactWriteItems" else {"Get": key()}
    refusal = exact.refused(operation, TransactItems=[part] * 101)
    assert refusal.message.startswith("1 validation error detected: Value '[Transact")
    assert refusal.message.endswith(f"at 'transactItems{AT}have length less than or equal to 100")


def test_reasons_of_a_cancelled_transaction(exact: Any) -> None:
    refusal = exact.refused(
        "TransactWriteItems",
        TransactItems=[
            {"Put": {"TableName": "Exact", "Item": {**KEY, "sk": {"N": "2"}}}},
            {"Update": {**update("SET s = :v", VALUE), "Key": {"pk": {"S": "a"}}}},
        ],
    )
    assert refusal.fields["CancellationReasons"] == [
        {"Code": "None"},
        {"Code": "ValidationError", "Message": "The provided key element does not match the schema"},
    ]


def test_unknown_members_are_ignored_even_if_others_know_them(exact: Any) -> None:
    request = writes({"DeleteRequest": {"Key": KEY}})
    assert exact.batch_write_item(**request, ExpressionAttributeNames={"#a": "a"}) == {"UnprocessedItems": {}}
