from __future__ import annotations

import pytest

from atoll import arns
from atoll.arns import Arn


@pytest.mark.parametrize(
    "text",
    [
        "arn:aws:dynamodb:us-east-1:000000000000:table/Things",
        "arn:aws-cn:dynamodb:cn-north-1:123456789012:table/Things/stream/2026-01-01T00:00:00.000",
        "arn:aws:lambda:eu-west-1:000000000000:function:welcome:$LATEST",
        "arn:aws:iam::000000000000:root",
    ],
)
def test_an_arn_is_written_as_it_was_read(text: str) -> None:
    assert str(arns.parse(text)) == text


@pytest.mark.parametrize("text", ["", "Things", "arn", "arn:aws:dynamodb:us-east-1:000000000000", "urn:a:b:c:d:e"])
def test_invalid_arns_are_refused(text: str) -> None:
    assert arns.parse(text) is None


@pytest.mark.parametrize(
    ("resource", "table"),
    [("table/Things", "Things"), ("table/Things/stream/2026", "Things"), ("table", ""), ("function:Things", "")],
)
def test_the_table_that_a_resource_belongs_to(resource: str, table: str) -> None:
    assert Arn("dynamodb", "us-east-1", "000000000000", resource).table == table


@pytest.mark.parametrize("resource", ["table/Things/stream/2026", "table/Th", "table/Thi:ngs", "index/Things"])
def test_only_the_arn_of_a_table_itself_stands_for_a_table(resource: str) -> None:
    whole = "arn:aws:dynamodb:us-east-1:000000000000:table/Things"
    assert arns.parse_table(whole) == arns.parse(whole)
    assert arns.parse_table(whole.replace("table/Things", resource)) is None
