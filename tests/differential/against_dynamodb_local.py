"""The same generated requests to Atoll and to DynamoDB Local: the answers agree, or `explained.py` says why not.

`make differential` runs this file. (Its name keeps it out of `make test`, which needs no Java.)
"""

from __future__ import annotations

import os

import pytest
from differential import definitions, legacy, malformed, multi, partiql, queries, single, syntax
from differential.pair import Pair
from differential.tables import Step
from hypothesis import HealthCheck, Phase, Verbosity, given, seed, settings
from hypothesis import strategies as st
from hypothesis.internal.conjecture.engine import ConjectureRunner

COUNT = int(os.environ.get("DIFFERENTIAL_COUNT", "6000"))
SEED = int(os.environ.get("DIFFERENTIAL_SEED", "0"))

# The families of requests, with the share of all requests in percent and the usual number of steps of one example.
FAMILIES: dict[str, tuple[st.SearchStrategy[list[Step]], int, int]] = {
    "items": (single.items(), 12, 5),
    "values": (single.values(), 8, 6),
    "conditions": (single.conditions(), 12, 4),
    "updates": (single.updates(), 12, 6),
    "projections": (single.projections(), 4, 5),
    "syntax": (syntax.syntax(), 8, 4),
    "queries": (queries.queries(), 12, 5),
    "scans": (queries.scans(), 5, 4),
    "batches": (multi.batches(), 5, 11),
    "transactions": (multi.transactions(), 8, 11),
    "definitions": (definitions.definitions(), 6, 7),
    "malformed": (malformed.malformed(), 8, 5),
    "legacy": (legacy.legacy(), 8, 5),
    "partiql": (partiql.statements(), 8, 9),
}


# DIFFERENTIAL_FAMILIES names the ones that a run compares; by default all.
CHOSEN = os.environ.get("DIFFERENTIAL_FAMILIES", ",".join(FAMILIES)).split(",")


@pytest.mark.parametrize("family", CHOSEN)
def test_answers_agree(family: str, pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    scenarios, share, steps = FAMILIES[family]
    # Hypothesis would send each scenario five times more with parts of it copied over others. New ones find more.
    monkeypatch.setattr(ConjectureRunner, "generate_mutations_from", lambda runner, data: None)

    @seed(SEED)
    @settings(
        max_examples=max(COUNT * share // 100 // steps, 5),
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate],
        verbosity=Verbosity.quiet,
        report_multiple_bugs=False,
    )
    @given(scenarios)
    def run(scenario: list[Step]) -> None:
        pair.run(family, scenario)

    run()
