"""The texts of 2026, derived from those of before by the facts that were seen on the service.

Both of Atoll's error styles get every request. DynamoDB Local has the older texts, so `explained.py` speaks of the
classic style; here each fact says how an older outcome reads in the default style. A fact is exact: the outcome of the
default style is what `reworded` returns, or one of `OTHERS` says which other fault is told. An outcome is as in
`explained.py`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

WRITES = "^(Put|Update|Delete)Item$"
READS = "^(GetItem|BatchGetItem|Query)$"
CURRENT = f"{WRITES}|{READS}"

VALIDATION = "400 ValidationException: "
ENVELOPE = "1 validation error detected: "
INVALID = "One or more parameter values were invalid: "
NUMERIC = "The parameter cannot be converted to a numeric value"
AT_LEAST_1 = "failed to satisfy constraint: Member must have length greater than or equal to 1"


@dataclass(frozen=True)
class Fact:
    """A text that matches as a whole becomes another one."""

    reason: str
    operation: str
    older: str
    newer: str | Callable[[re.Match[str]], str]


def _to_first_repeat(members: list[str]) -> list[str]:
    repeat = next(at for at, member in enumerate(members) if member in members[:at])
    return [f'"{member}"' for member in dict.fromkeys([*members[:repeat]])] + [f'"{members[repeat]}"']


def _strings(found: re.Match[str]) -> str:
    members = sorted(found[1].split(", "), key=str.encode)
    return f"{INVALID}Input collection [{', '.join(_to_first_repeat(members))}] contains duplicates."


def _binaries(found: re.Match[str]) -> str:
    members = found[1].split(", ")
    return f"{INVALID}Input collection [{','.join(_to_first_repeat(members))}]of type BS contains duplicates."


# A value of an expression is reported without its name; a write puts it into the envelope, whatever its fault.
OF_EXPRESSION = re.compile(r"ExpressionAttributeValues contains invalid value: (.*) for key :\S*", re.DOTALL)

# First of all, what is said of a value.
VALUES = [
    Fact(
        "the repeated strings of a set are quoted", CURRENT, rf"{INVALID}Input collection \[(.*)\] contains.*", _strings
    ),
    Fact(
        "the repeated binaries of a set are quoted",
        CURRENT,
        rf"{INVALID}Input collection \[(.*)\]of type BS contains duplicates\.",
        _binaries,
    ),
    Fact(
        "the repeated numbers of a set are no sentence of their own",
        CURRENT,
        "Input collection contains duplicates",
        f"{INVALID}Input collection contains duplicates.",
    ),
    Fact("a number without a digit is quoted", CURRENT, NUMERIC, f"{NUMERIC}: "),
    Fact(
        "an exponent of up to 64 bits is judged by its size",
        CURRENT,
        rf"{NUMERIC}: -?[\d.]+[eE]\+?\d{{10,18}}",
        "Number overflow. Attempting to store a number with magnitude larger than supported range",
    ),
    Fact(
        "a negative exponent of up to 64 bits is judged by its size",
        CURRENT,
        rf"{NUMERIC}: -?[\d.]+[eE]-\d{{10,18}}",
        "Number underflow. Attempting to store a number with magnitude smaller than supported range",
    ),
    Fact(
        "values without an expression are reported without their parameter",
        CURRENT,
        "(ExpressionAttributeValues can only be specified when using expressions): .* null",
        r"\1",
    ),
]

ENVELOPED = (
    rf"({INVALID}(An (string|number) set  may not be empty|Binary sets should not be empty|Input collection .*"
    "|Null attribute value types must have the value of true"
    # legacy parameters
    r"|(ADD|DELETE) action .*|ComparisonOperator .*|Invalid number of argument\(s\) for the .*"
    "|Value must .* when Exists is .*|Value cannot be used when .*|Cannot .* when .*|.*Exists.*|.*AttributeValueList.*"
    "|Only (DELETE|PUT|ADD).*|Duplicate value in attribute name: .*|.*must be of same type|.*must not be.*)"
    "|The BETWEEN condition was provided a range.*|ConditionalOperator (can only|cannot) .*"
    f"|{NUMERIC}.*|Number (over|under)flow.*|Attempting to store more than 38 .*|Nesting Levels have exceeded .*"
    "|Invalid (Condition|Update)Expression: .*|Can not use both expression and non-expression parameters .*"
    "|ExpressionAttribute(Names|Values) (contains invalid|must not be empty|can only be specified|exceeds).*"
    r"|Value provided in ExpressionAttribute(Names|Values) unused in expressions: .*"
    "|ReturnValues can only be ALL_OLD or NONE)"
)
KEY_CONDITION = (
    "(Invalid condition in KeyConditionExpression: .*|KeyConditionExpressions (must only|cannot) .*"
    "|Invalid operator used in KeyConditionExpression: .*)"
)
SELECT = (
    "(ALL_PROJECTED_ATTRIBUTES can be used only when Querying using an IndexName"
    "|Cannot specify the (ProjectionExpression|AttributesToGet) when choosing to get .*"
    "|Must specify the AttributesToGet or ProjectionExpression when choosing to get SPECIFIC_ATTRIBUTES)"
)

UNLISTED = "Failed to satisfy constraint: Member must satisfy enum value set: "
UNLISTED_RETURNS = f"{UNLISTED}[ALL_OLD, UPDATED_OLD, ALL_NEW, UPDATE_NEW, NONE]"
UNLISTED_OPERATOR = f"{UNLISTED}[ALL, OR]"

# Then, of the whole.
FORMS = [
    Fact("writes have an envelope", WRITES, f"(?P<text>{ENVELOPED})", rf"{ENVELOPE}\g<text>"),
    Fact("a Select of a query has an envelope", "^Query$", rf"({INVALID})?(?P<text>{SELECT})", rf"{ENVELOPE}\g<text>"),
    Fact("a Select of a scan is bare", "^Scan$", f"{INVALID}(?P<text>{SELECT})", r"\g<text>"),
    Fact(
        "a condition that is none on keys names its parameter",
        "^Query$",
        f"(?!Invalid KeyConditionExpression: )(?P<text>{KEY_CONDITION})",
        r"Invalid KeyConditionExpression: \g<text>",
    ),
    Fact(
        "an empty name of a table is not shown",
        CURRENT,
        f"{ENVELOPE}Value '' at 'tableName' {AT_LEAST_1}",
        f"{ENVELOPE}Value at 'TableName' {AT_LEAST_1}",
    ),
    Fact(
        "ReturnValues that do not exist are not shown",
        WRITES,
        rf"{ENVELOPE}Value '[^']*' at 'returnValues' failed to satisfy constraint: [^;]*",
        ENVELOPE + UNLISTED_RETURNS,
    ),
    Fact(
        "a ConditionalOperator that does not exist is not shown",
        WRITES,
        rf"{ENVELOPE}Value '[^']*' at 'conditionalOperator' failed to satisfy constraint: [^;]*",
        ENVELOPE + UNLISTED_OPERATOR,
    ),
    Fact(
        "a query's ConditionalOperator that does not exist has no envelope",
        "^Query$",
        r"\d validation errors? detected: .* at 'conditionalOperator' failed to satisfy constraint: .*",
        UNLISTED_OPERATOR,
    ),
    Fact(
        "a batch of no tables is too short",
        "^BatchGetItem$",
        "The requestItems parameter is required for BatchGetItem",
        f"{ENVELOPE}Value at 'RequestItems' {AT_LEAST_1}",
    ),
]


def reworded(operation: str, outcome: str) -> str:
    """An outcome of the classic style as it has to be in the default style."""
    if not outcome.startswith(VALIDATION):
        return outcome
    text = outcome.removeprefix(VALIDATION)
    of_expression = OF_EXPRESSION.fullmatch(text) if re.search(CURRENT, operation) else None
    text = _first(VALUES, operation, text if of_expression is None else of_expression[1])
    if of_expression is not None and re.search(WRITES, operation):
        return f"{VALIDATION}{ENVELOPE}{text}"
    return VALIDATION + _first(FORMS, operation, text)


def _first(facts: list[Fact], operation: str, text: str) -> str:
    """The text as the first of the facts about it says."""
    for fact in facts:
        found = re.fullmatch(fact.older, text, re.DOTALL)
        if found is not None and re.search(fact.operation, operation):
            return fact.newer(found) if callable(fact.newer) else found.expand(fact.newer)
    return text


@dataclass(frozen=True)
class Other:
    """Of several faults the default style tells another one, or fewer."""

    reason: str
    operation: str
    older: str
    newer: str

    def covers(self, operation: str, older: str, newer: str) -> bool:
        return all(
            re.search(pattern, text, re.DOTALL)
            for pattern, text in ((self.operation, operation), (self.older, older), (self.newer, newer))
        )


SEVERAL = r"^400 ValidationException: \d+ validation errors detected: "
ONE = f"^400 ValidationException: {ENVELOPE}"
FAULT_OF_OTHER = "(ExpressionAttribute|Value provided in ExpressionAttribute|Invalid (Filter|Projection)Expression: )"

OTHERS = [
    Other(
        "a number that an update computes has no envelope",
        "^UpdateItem$",
        f"^{VALIDATION}(Number (over|under)flow|Attempting to store more than 38 )",
        f"^{VALIDATION}(Number (over|under)flow|Attempting to store more than 38 )",
    ),
    Other(
        "a batch without tables is as before, unlike one with none of them",
        "^BatchGetItem$",
        f"^{VALIDATION}The requestItems parameter is required for BatchGetItem$",
        f"^{VALIDATION}The requestItems parameter is required for BatchGetItem$",
    ),
    Other(
        "a batch's tables are quoted as JSON",
        "^BatchGetItem$",
        rf"{ONE}Value '\{{.*=.*\}}' at 'requestItems' failed to satisfy constraint: Map ",
        rf"{ONE}Value '\{{\".*' at 'requestItems' failed to satisfy constraint: Map ",
    ),
    Other(
        "an update reports its ReturnValues, or else its first violation, alone",
        "^UpdateItem$",
        SEVERAL,
        f"{ONE}({re.escape(UNLISTED_RETURNS)}|{re.escape(UNLISTED_OPERATOR)}|Value [^;]*)$",
    ),
    Other(
        "of several violations those of ReturnValues and ConditionalOperator have other words, and another place",
        "^(Put|Delete)Item$",
        f"{SEVERAL}.*at '(returnValues|conditionalOperator)'",
        f"{SEVERAL}.*Failed to satisfy constraint: Member must satisfy enum value set: ",
    ),
    Other(
        "a query's other expressions, and unused names, are told before what a key condition may be",
        "^Query$",
        f"^{VALIDATION}{KEY_CONDITION}$",
        f"^{VALIDATION}{FAULT_OF_OTHER}",
    ),
]


def explanation(operation: str, older: str, newer: str) -> str | None:
    """Why the default style answers this to what the classic one answers so; None if no fact says it."""
    if reworded(operation, older) == newer:
        return "the texts of 2026"
    return next((other.reason for other in OTHERS if other.covers(operation, older, newer)), None)
