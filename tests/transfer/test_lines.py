"""Items as lines: the forms of numbers in Ion that the service writes, and that all lines mean the item."""

from __future__ import annotations

import json

import pytest

from atoll.transfer import lines


@pytest.mark.parametrize(
    ("number", "ion"),
    [
        ("103", "103."),
        ("600", "6d2"),
        ("6E2", "6d2"),
        ("1.50", "1.5"),
        ("0.05", "0.05"),
        ("-0.05", "-0.05"),
        ("0", "0."),
        ("1E-130", "1d-130"),
        ("0.000001", "0.000001"),
        ("0.0000001", "1d-7"),
        ("12.0000001", "12.0000001"),
        ("-99999999999999999999999999999999999999", "-99999999999999999999999999999999999999."),
        ("9.9999999999999999999999999999999999999E+125", "99999999999999999999999999999999999999d88"),
    ],
)
def test_a_number_in_ion(number: str, ion: str) -> None:
    assert lines.decimal(number) == ion


def test_an_item_of_every_type_in_ion() -> None:
    item = {
        "pk": {"S": 'a "quoted"\n'},
        "n": {"N": "1.5"},
        "a name": {"BOOL": True},
        "null": {"NULL": True},
        "b": {"B": "AAEC"},
        "l": {"L": [{"N": "10"}, {"M": {"x'y": {"BOOL": False}}}]},
        "ss": {"SS": ["a", "b"]},
        "ns": {"NS": ["1", "20"]},
        "bs": {"BS": ["AA=="]},
    }
    assert lines.ion_line({"Item": item}).decode() == (
        "$ion_1_0 {Item:{pk:\"a \\\"quoted\\\"\\n\",n:1.5,'a name':true,'null':null,b:{{AAEC}},"
        'l:[1d1,{\'x\\\'y\':false}],ss:$dynamodb_SS::["a","b"],ns:$dynamodb_NS::[1.,2d1],bs:$dynamodb_BS::[{{AA==}}]}}\n'
    )


def test_a_line_of_json_is_the_stored_item() -> None:
    assert json.loads(lines.item_line(b'{"pk":{"S":"a"}}')) == {"Item": {"pk": {"S": "a"}}}
