"""How far two answers of successes agree where they are not the same.

Each function takes the request, Atoll's answer and DynamoDB Local's, and is true if they differ in nothing but what its
name says.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

from tests.differential.tables import INDEXED
from tests.differential.values import TYPICAL

Body = dict[str, Any]
Agreement = Callable[[Body, Body, Body], bool]

KEPT_OF_DELETED = {"AttributeDefinitions", "KeySchema", "LocalSecondaryIndexes", "GlobalSecondaryIndexes"}

# A column of a statement that goes on behind an element of a list: the element, and what is behind it.
BEHIND_ELEMENT = re.compile(r"(\w+\[\d+\])(?:\.(\w+)|\[\d+\])$")
SELECT = re.compile(r"SELECT (?P<columns>.*) FROM .*?(?P<index>[\w-]+)\"?(?: WHERE (?P<where>.*))?$")

ASKS_FOR_MISSING = re.compile("NOT|MISSING|<>|!=|not_exists")


def except_definitions_of_deleted_index(request: Body, ours: Body, theirs: Body) -> bool:
    """Atoll defines a few attributes more."""
    defined, left = (answer["TableDescription"]["AttributeDefinitions"] for answer in (ours, theirs))
    return all(definition in defined for definition in left) and (
        _described_without(ours, {"AttributeDefinitions"}) == _described_without(theirs, {"AttributeDefinitions"})
    )


def except_throughput_of_indexes(request: Body, ours: Body, theirs: Body) -> bool:
    """DynamoDB Local leaves the indexes what they had."""
    description = theirs["TableDescription"]
    indexes = [
        {name: content for name, content in index.items() if name != "ProvisionedThroughput"}
        for index in description.get("GlobalSecondaryIndexes", [])
    ]
    return bool(ours["TableDescription"] == description | {"GlobalSecondaryIndexes": indexes})


def except_units_of_changed_table(request: Body, ours: Body, theirs: Body) -> bool:
    """Atoll shows the units from before the change, with its time, and defines nothing that no key needs."""
    defined, more = (answer["TableDescription"]["AttributeDefinitions"] for answer in (ours, theirs))
    if not all(definition in more for definition in defined):
        return False
    unlike = {"ProvisionedThroughput", "GlobalSecondaryIndexes", "TableStatus", "AttributeDefinitions"}
    indexes = [
        [
            {name: content for name, content in index.items() if name not in unlike | {"IndexStatus"}}
            for index in answer["TableDescription"].get("GlobalSecondaryIndexes", [])
        ]
        for answer in (ours, theirs)
    ]
    return indexes[0] == indexes[1] and _described_without(ours, unlike) == _described_without(theirs, unlike)


def except_schema_of_deleted_table(request: Body, ours: Body, theirs: Body) -> bool:
    return KEPT_OF_DELETED.isdisjoint(ours["TableDescription"]) and (
        _described_without(ours, set()) == _described_without(theirs, KEPT_OF_DELETED)
    )


def _described_without(answer: Body, members: set[str]) -> Body:
    return {name: content for name, content in answer["TableDescription"].items() if name not in members}


def nothing_against_bare_key(request: Body, ours: Body, theirs: Body) -> bool:
    return not ours and theirs.keys() == {"Attributes"} and theirs["Attributes"].keys() == request["Key"].keys()


def except_unchanged_parts(request: Body, ours: Body, theirs: Body) -> bool:
    """Atoll shows a part of a map or list that DynamoDB Local shows; other values are the same."""
    return _is_part({"M": ours.get("Attributes", {})}, {"M": theirs.get("Attributes", {})})


def except_unchanged_parts_of_items(request: Body, ours: Body, theirs: Body) -> bool:
    return len(ours["Items"]) == len(theirs["Items"]) and all(
        _is_part({"M": part}, {"M": whole}) for part, whole in zip(ours["Items"], theirs["Items"], strict=True)
    )


def _is_part(part: Any, whole: Any) -> bool:
    if part == whole:
        return True
    if part.keys() != whole.keys():
        return False
    ((kind, some),) = part.items()
    everything = whole[kind]
    if kind == "M":
        return all(name in everything and _is_part(some[name], everything[name]) for name in some)
    if kind == "L":
        rest = iter(everything)
        return all(any(_is_part(element, candidate) for candidate in rest) for element in some)
    return False


def except_names_of_columns(request: Body, ours: Body, theirs: Body) -> bool:
    """A column behind an element of a list: DynamoDB Local shows it inside of that element. Items come in any order."""
    select = SELECT.match(request["Statement"])
    if select is None:
        return False
    columns = [column.replace('"', "") for column in select["columns"].split(", ")]
    renamed = []
    for item in theirs["Items"]:
        shown = dict(item)
        for column in columns:
            found = BEHIND_ELEMENT.search(column)
            if found is not None and found[1] in item:
                shown.pop(found[1], None)
                ((_, inside),) = item[found[1]].items()
                if found[2] is None:
                    shown[found[0]] = inside[0]
                elif found[2] in inside:
                    shown[found[2]] = inside[found[2]]
        renamed.append(shown)
    return _sorted(ours) == _sorted({"Items": renamed})


def except_repeated_items(request: Body, ours: Body, theirs: Body) -> bool:
    return len(ours["Items"]) < len(theirs["Items"]) and set(_sorted(ours)) == set(_sorted(theirs))


def except_items_beside_condition(request: Body, ours: Body, theirs: Body) -> bool:
    """DynamoDB Local shows more items."""
    return len(ours["Items"]) < len(theirs["Items"]) and _are_among(ours, theirs)


def _sorted(answer: Body) -> list[str]:
    return sorted(json.dumps(item, sort_keys=True) for item in answer["Items"])


def except_items_of_condition(request: Body, ours: Body, theirs: Body) -> bool:
    """A condition on an index names what the index does not hold. To Atoll that is missing; DynamoDB Local looks
    into the table, and shows more items, or fewer if the condition asks for what is missing or not equal."""
    select = SELECT.match(request["Statement"])
    index = next((index for index in INDEXED.indexes if select is not None and index.name == select["index"]), None)
    if select is None or index is None or index.projection["ProjectionType"] == "ALL":
        return False
    where = re.sub(r"'[^']*'", "", select["where"] or "")
    if INDEXED.held(index) >= TYPICAL.keys() & set(re.findall(r"[\w-]+", where)):
        return False
    return _are_among(ours, theirs) or (ASKS_FOR_MISSING.search(where) is not None and _are_among(theirs, ours))


def _are_among(some: Body, more: Body) -> bool:
    return all(item in more["Items"] for item in some["Items"])
