"""Items as text: nothing in them commands a terminal, and nothing is lost in JSON."""

from __future__ import annotations

import io
import json
import unicodedata
from decimal import Decimal
from typing import Any

import pytest

from atoll.shell.output import Output, _width, table
from atoll.shell.values import plain, plain_item, printable

EVIL = "\x1b]0;title\x07\x9b31m\u202e\u2028\r\nend"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")


@pytest.mark.parametrize("form", ["table", "json", "csv", "dynamodb"])
def test_no_control_character_reaches_a_terminal(form: str) -> None:
    out = Terminal()
    output = Output(form, ["pk"], out=out)
    output.page([{"pk": {"S": EVIL}, EVIL: {"M": {EVIL: {"SS": [EVIL]}}}}])
    output.end()
    assert all(character.isprintable() or character == "\n" for character in out.getvalue())


def test_json_keeps_what_it_escapes_and_every_digit() -> None:
    number = "12345678901234567890.123456789"
    item: dict[str, dict[str, Any]] = {
        "a": {"S": EVIL},
        "n": {"N": number},
        "s": {"NS": ["1", "2"]},
        "l": {"L": [{"NULL": True}, {"B": "AQ=="}]},
    }
    assert json.loads(plain_item(item), parse_float=Decimal) == {
        "a": EVIL, "n": Decimal(number), "s": [1, 2], "l": [None, "AQ=="],
    }  # fmt: skip


def test_invalid_number_of_an_endpoint_is_a_string() -> None:
    assert plain({"N": "1}, {"}) == '"1}, {"'


def test_a_csv_file_has_the_columns_of_the_first_page_and_lists_omitted_ones(
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = io.StringIO()
    output = Output("csv", ["pk"], out=out)
    output.page([{"pk": {"S": "a"}, "x": {"N": "1"}}])
    output.page([{"pk": {"S": 'b "quoted"\n'}, "y": {"N": "2"}}])
    output.end()
    assert out.getvalue() == 'pk,x\na,1\n"b ""quoted""\n",\n'
    assert "left out: y;" in capsys.readouterr().err


def test_a_table_is_never_wider_than_the_terminal() -> None:
    names = [f"attribute{number}" for number in range(9)]
    rows = [[{"S": "東京" * 20}, {"S": "e\u0301" * 30}, *({"N": "1"} for _ in names[2:])]]
    for width in (20, 40, 80, 200):
        lines = table(names, rows, width)
        assert all(_width(line) < width for line in lines if "more attribute" not in line)
    assert "(5 more attributes" in table(names, rows, 40)[-1]


def test_widths_are_those_of_a_terminal() -> None:
    assert _width("東京") == 4 and _width(unicodedata.normalize("NFD", "é")) == 1


def test_marks_without_number_are_cut() -> None:
    (_, _, row) = table(["pk"], [[{"S": "a" + "\u0301" * 100_000}]], 40)
    assert row.endswith("…") and len(row) < 200


def test_a_table_repeats_its_header_when_columns_change() -> None:
    out = Terminal()
    output = Output("table", ["pk"], out=out)
    output.page([{"pk": {"S": "a"}}])
    output.page([{"pk": {"S": "b"}}])
    output.page([{"pk": {"S": "c"}, "x": {"N": "1"}}])
    output.end()
    assert out.getvalue().split() == ["pk", "--", "a", "b", "pk", "x", "--", "-", "c", "1", "3", "items"]


def test_printable_text_stays() -> None:
    assert printable("Köln 東京 🎉") == "Köln 東京 🎉"
