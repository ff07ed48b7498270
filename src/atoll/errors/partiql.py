"""Errors of PartiQL statements. `at` is a position in the statement: line:column:length."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from atoll.errors import VALIDATE, ApiError, invalid_parameter, validation

# Syntax


class Malformed(ApiError):
    """The text is not a statement. The service gives no reason for literals and characters that it cannot read."""

    def __init__(self, reason: str = "") -> None:
        text = f"Statement wasn't well formed, can't be processed: {reason}"
        super().__init__("ValidationException", text, prefix=VALIDATE)


def unsupported_operation(name: str) -> ApiError:
    return validation(f"Unsupported operation: {name}")


def unsupported_token(token: str, at: str | None = None) -> ApiError:
    return validation(f"Unsupported token in expression: {token}{_at(at)}")


def unsupported_clause(name: str, at: str | None = None) -> ApiError:
    return validation(f"Unsupported clause: {name}{_at(at)}")


def _at(at: str | None) -> str:
    return "" if at is None else f" at {at}"


def alias() -> ApiError:
    return validation("Aliasing is not supported")


def many_sources() -> ApiError:
    return validation("Only select from a single table or index is supported.")


def source() -> ApiError:
    return validation("Unexpected from source")


def source_path() -> ApiError:
    return validation("A path may contain at most 2 components in the FROM clause")


def source_of_write() -> ApiError:
    return validation("FROM clause may only contain a single table name in data manipulation statements")


def write_to_index() -> ApiError:
    return validation("This operation is not supported on an index")


def table_name() -> ApiError:
    return validation(
        "Table name should be within the length [3, 255] and only contain 'a-z', 'A-Z', '0-9', '-', '_', '.'."
    )


# Paths and projections


def path_component(at: str) -> ApiError:
    return validation(f"Unexpected path component at {at}")


def empty_path_component() -> ApiError:
    return validation("Path component cannot be an empty string")


def list_index(index: str, at: str) -> ApiError:
    return validation(f"List index is not within the allowable range; index: [{index}] at {at}")


def select_value() -> ApiError:
    return validation("Select projection doesn't support value or pivot keywords")


def select_members() -> ApiError:
    return validation("Changing item's hierarchy while reading isn't supported")


def repeated_column(name: str) -> ApiError:
    return validation(f"Duplicate identifiers in select clause: {name}")


# Values


def data_type(what: str, path: str, at: str) -> ApiError:
    return validation(f"Unsupported data type: {what} under key {path} at {at}")


def empty_bag() -> ApiError:
    return validation("Empty bags are not supported")


def bag_members(at: str | None = None) -> ApiError:
    return validation(
        f"Unsupported data type in Bag. DynamoDB only supports either numbers or strings in bags{_at(at)}"
    )


def repeated_in_bag(members: Sequence[str]) -> ApiError:
    return invalid_parameter(f"Input collection [{', '.join(members)}] contains duplicates.")


def number(fault: ApiError, path: str) -> ApiError:
    return validation(f"{fault.message} under {path}")


def tuple_key(kind: str, at: str) -> ApiError:
    return validation(f"Tuple keys must be of type String. Actual type: {kind} under root at {at}")


def repeated_tuple_key(name: str, at: str) -> ApiError:
    return validation(f"Duplicate keys in tuple. Key: {name} under root at {at}")


def item_format(at: str) -> ApiError:
    return validation(
        "Unsupported format in item expression. Please use struct format {...} to express item values for insert "
        f"statement. at {at}"
    )


def parameter_count() -> ApiError:
    return validation("Number of parameters in request and statement don't match.")


# Conditions and updates


def no_condition() -> ApiError:
    return validation("WHERE clause must contain an expression that resolves to a boolean")


def operand_of_junction() -> ApiError:
    return validation("The arguments to AND/OR must be Expressions")


def operand_of_not() -> ApiError:
    return validation("The argument to NOT must be a Type or Expression")


def operator(symbol: str, where: str) -> ApiError:
    """`where` is Condition or Update."""
    return validation(f"Unsupported operator in {where} Expression. Operator: {symbol}")


def missing_compared() -> ApiError:
    return validation("MISSING must be compared using IS operator")


def type_of_no_attribute(type_: str, known: Sequence[str], at: str) -> ApiError:
    return validation(
        f"Unsupported data type for IS operator: {type_}. Supported data types are [{', '.join(known)}] at {at}"
    )


def operand_of_is() -> ApiError:
    return validation("The left hand side argument to IS must be a Variable Reference, Literal, or Path")


def in_operands() -> ApiError:
    return validation(
        "IN operator must have a left hand argument of type Variable Reference and right hand argument of type Seq "
        "with at least one member"
    )


def unknown_function(name: str, at: str) -> ApiError:
    return validation(f"Unrecognized function: {name} at {at}")


def set_function_path(name: str, at: str) -> ApiError:
    return validation(f"The first argument to {name} must equal the assignment value at {at}")


def set_function_arguments(name: str, at: str) -> ApiError:
    return validation(f"{name} must have exactly two arguments at {at}")


def set_function_value(name: str, at: str) -> ApiError:
    return validation(f"The second argument to {name} must be a value with type SET at {at}")


def returning_target() -> ApiError:
    return validation("Expected '*' after ( MODIFIED | ALL ) ( NEW | OLD ) in RETURNING clause")


def returning_many() -> ApiError:
    return validation("Invalid syntax with multiple returning elements in RETURNING clause")


def returning_of_insert() -> ApiError:
    return validation("RETURNING is not supported in INSERT")


def returning_of_delete(clause: str) -> ApiError:
    return validation(f"Invalid returning clause: {clause}. Only RETURNING ALL OLD * is allowed in DELETE statements.")


# Keys


def key_type(name: str) -> ApiError:
    return validation(f"Key attribute's data type should match its data type in table's schema: Key {name}")


def key_absent(name: str) -> ApiError:
    return validation(f"Key attribute should be present in the item: Key {name}")


class KeyNotGiven(ApiError):
    """The condition does not select a single item. Callers that need one replace this text with their own."""

    def __init__(self) -> None:
        text = "Where clause does not contain a mandatory equality on all key attributes"
        super().__init__("ValidationException", text, prefix=VALIDATE)


def key_given_twice(name: str) -> ApiError:
    return validation(f"Multiple conditions on same key {name}. Only single item Update/Insert/Delete are supported")


def overlapping_ranges() -> ApiError:
    return validation("Overlapping conditions with range keys are not supported in where clause")


def order_without_where() -> ApiError:
    return validation("Must have WHERE clause in the statement when using ORDER BY clause.")


def order_without_partition() -> ApiError:
    return validation(
        "Must have at least one non-optional hash key condition in WHERE clause when using ORDER BY clause."
    )


def order_attribute(name: str) -> ApiError:
    return validation(f"Variable reference {name} in ORDER BY clause must be part of the primary key")


def order_argument(kind: str) -> ApiError:
    return validation(f"Argument to ORDER BY must be of type VariableReference. Type: {kind}")


def no_such_index() -> ApiError:
    """Unlike the error of Query and Scan, without the name."""
    return validation("The table does not have the specified index")


def index_of_several_attributes() -> ApiError:
    return validation(
        "PartiQL statements cannot be executed on tables with multi-attribute HASH keys or multi-attribute RANGE keys."
    )


# Execution


def duplicate_item() -> ApiError:
    return ApiError("DuplicateItemException", "Duplicate primary key exists in table")


def next_token_invalid() -> ApiError:
    return validation("Invalid NextToken")


def next_token_of_other() -> ApiError:
    return validation("NextToken does not match request")


def exists_outside_transaction() -> ApiError:
    return validation("EXISTS can only be used in ExecuteTransaction write requests.")


def batch_mixed() -> ApiError:
    return validation("Read and write requests together in the same batch is not supported.")


def single_item_only() -> ApiError:
    return validation(
        "Select statements within BatchExecuteStatement must specify the primary key in the where clause."
    )


def transaction_mixed() -> ApiError:
    return validation("ExecuteTransaction API does not support both read and write operations in the same request.")


def in_transaction(index: int, refusal: ApiError) -> ApiError:
    return validation(f"Validation failed in TransactStatements[{index}]: {refusal.message}")


def transaction_select() -> ApiError:
    return validation("Select statements within ExecuteTransaction must specify the primary key in the where clause.")


def transaction_index() -> ApiError:
    return validation("Reads on indices are not supported within transactions.")


def transaction_returning() -> ApiError:
    return validation("RETURNING clause is not supported in ExecuteTransaction.")


def exists_form() -> ApiError:
    return validation("EXISTS() must contain a single item read with additional condition")


# BatchExecuteStatement returns errors per statement, with its own codes.
BATCH_CODES = {
    "ValidationException": "ValidationError",
    "ConditionalCheckFailedException": "ConditionalCheckFailed",
    "DuplicateItemException": "DuplicateItem",
    "ResourceNotFoundException": "ResourceNotFound",
    "ItemCollectionSizeLimitExceededException": "ItemCollectionSizeLimitExceeded",
    "ProvisionedThroughputExceededException": "ProvisionedThroughputExceeded",
    "ThrottlingException": "ThrottlingError",
    "RequestLimitExceeded": "RequestLimitExceeded",
    "TransactionConflictException": "TransactionConflict",
    "AccessDeniedException": "AccessDenied",
    "InternalServerError": "InternalServerError",
}


def batch_error(refusal: ApiError) -> dict[str, Any]:
    return {"Code": BATCH_CODES[refusal.code], "Message": refusal.message, **refusal.item}
