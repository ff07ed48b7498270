"""A short run of `make fuzz-policies`."""

from __future__ import annotations

import asyncio

from tests.fuzz.policies import fuzz


def test_no_odd_policy_or_sts_request_gets_an_internal_error() -> None:
    report = asyncio.run(fuzz(500, seed=1))
    assert not [fault for fault in report.faults if " ms: " not in fault]
    assert report.statuses[200] > 50 and report.statuses[400] > 50
