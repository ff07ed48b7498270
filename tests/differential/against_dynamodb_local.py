"""The same generated requests to Atoll and to DynamoDB Local: the answers agree, or `explained.py` says why not.

`make differential` runs this file. (Its name keeps it out of `make test`, which needs no Java.)
"""

from __future__ import annotations

import os
from collections.abc import Callable
from itertools import count
from random import Random

import pytest

from tests.differential import definitions, legacy, malformed, multi, partiql, queries, single, syntax
from tests.differential.pair import Pair
from tests.differential.tables import Step

COUNT = int(os.environ.get("DIFFERENTIAL_COUNT", "6000"))
SEED = int(os.environ.get("DIFFERENTIAL_SEED", "0"))

# The families of requests, each with its weight among all requests.
FAMILIES: dict[str, tuple[Callable[[Random], list[Step]], int]] = {
    "items": (single.items, 12),
    "values": (single.values, 8),
    "conditions": (single.conditions, 12),
    "updates": (single.updates, 12),
    "projections": (single.projections, 4),
    "syntax": (syntax.syntax, 8),
    "queries": (queries.queries, 12),
    "scans": (queries.scans, 5),
    "batches": (multi.batches, 5),
    "transactions": (multi.transactions, 8),
    "definitions": (definitions.definitions, 6),
    "malformed": (malformed.malformed, 8),
    "legacy": (legacy.legacy, 8),
    "partiql": (partiql.statements, 8),
}

# DIFFERENTIAL_FAMILIES names the ones that a run compares; by default all.
CHOSEN = os.environ.get("DIFFERENTIAL_FAMILIES", ",".join(FAMILIES)).split(",")


@pytest.mark.parametrize("family", CHOSEN)
def test_answers_agree(family: str, pair: Pair) -> None:
    scenario, weight = FAMILIES[family]
    requests = COUNT * weight / sum(weight for _, weight in FAMILIES.values())
    for number in count():
        if pair.requests[family] >= requests:
            return
        # Each has a source of its own: a change of one family's requests leaves the other ones as they were.
        pair.run(family, scenario(Random(f"{SEED} {family} {number}")))
