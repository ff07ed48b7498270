"""Pictures, comparisons and files that need no browser."""

from __future__ import annotations

import csv
import io
from xml.etree import ElementTree

import pytest

from atoll.console import images, places
from atoll.console.drawing import Line, as_text, chart, marks, nice_ceiling
from atoll.console.lineage import arranged, drawn
from atoll.console.sizes import duration, size, time
from atoll.console.spreadsheet import OTHERS, Spreadsheet
from atoll.console.values import Item

EVIL = "<script>alert(1)</script>"


def shard(name, parent=None, *, closed=True):
    ends = {"StartingSequenceNumber": "1"} | ({"EndingSequenceNumber": "9"} if closed else {})
    return {"ShardId": name, "SequenceNumberRange": ends} | ({"ParentShardId": parent} if parent else {})


class TestLineage:
    def test_children_stand_right_of_their_parents_and_parents_between_them(self):
        family = [shard("a"), shard("b", "a"), shard("c", "b", closed=False), shard("d", "b", closed=False)]
        placed = {one.id: one for one in arranged(family)}
        assert [placed[name].generation for name in "abcd"] == [0, 1, 2, 2]
        assert placed["c"].row != placed["d"].row
        assert placed["b"].row == (placed["c"].row + placed["d"].row) / 2
        assert [name for name, one in placed.items() if one.is_open] == ["c", "d"]

    def test_a_shard_with_a_trimmed_parent_is_shown(self):
        assert [one.generation for one in arranged([shard("b", "trimmed")])] == [0]

    def test_hundreds_of_generations(self):
        family = [shard("s0"), *(shard(f"s{number}", f"s{number - 1}") for number in range(1, 3_000))]
        assert max(one.generation for one in arranged(family)) == 2_999
        assert as_text(drawn(family)).count("<rect") == 400

    def test_no_shards(self):
        assert "0 shards" in as_text(drawn([]))


class TestCharts:
    def test_texts_are_escaped(self):
        text = as_text(chart(EVIL, [Line(EVIL, "a", [(0, 1), (60, 2)])], 0, 60, [(0, EVIL)]))
        assert "<script" not in text
        ElementTree.fromstring(text)

    def test_the_drawing_has_a_text_for_screen_readers(self):
        text = as_text(chart("Reads", [Line("consumed", "a", [(0, 5), (60, 7)])], 0, 60, []))
        assert 'aria-label="Reads: consumed at most 7"' in text

    @pytest.mark.parametrize("value, most", [(0, 1), (0.3, 0.4), (1, 1), (1.1, 2), (7, 8), (99, 100), (101, 200)])
    def test_the_scale_ends_at_a_round_number(self, value, most):
        assert nice_ceiling(value) == pytest.approx(most)

    def test_times_are_round_and_few(self):
        found = marks(1_000, 1_000 + 3 * 3600, 6)
        assert found[0] % 1800 == 0 and len(found) <= 6


class TestMap:
    def test_every_region_has_its_own_place(self):
        names = [*places.PLACES, "moon-1", "mars-1"]
        found = places.placed(names)
        assert len(set(found.values())) == len(names)
        assert all(0 <= x <= places.WIDTH and 0 <= y <= places.HEIGHT for x, y in found.values())

    def test_a_cut_link_differs(self):
        links = [places.Link("eu-west-1", "us-east-1", True), places.Link("us-east-1", "eu-west-1", False)]
        text = as_text(places.drawn(["eu-west-1", "us-east-1"], links))
        assert text.count("edge bad") == 1 and text.count("edge good") == 1
        assert "2 links, 1 of them cut" in text


class TestImages:
    def test_each_attribute_has_one_line(self):
        old: Item = {"id": {"S": "1"}, "a": {"N": "1"}, "gone": {"S": ""}}
        new: Item = {"id": {"S": "1"}, "a": {"N": "2"}, "new": {"BOOL": True}}
        kinds = {line.name: line.kind for line in images.compared(old, new)}
        assert kinds == {"id": "same", "a": "changed", "gone": "removed", "new": "added"}

    def test_a_missing_image(self):
        assert [line.kind for line in images.compared(None, {"id": {"S": "1"}})] == ["added"]
        assert [line.kind for line in images.compared({"id": {"S": "1"}}, None)] == ["removed"]


ITEMS: list[Item] = [
    {"id": {"S": "1"}, "n": {"N": "-5"}},
    {"id": {"S": 'a "quoted",\nline'}, "late": {"M": {"x": {"B": b"\xff"}}}},
]


class TestSpreadsheet:
    def test_every_attribute_of_every_item_is_there(self):
        sheet = Spreadsheet(ITEMS[:1], ["id"])
        rows = list(csv.reader(io.StringIO(sheet.head() + sheet.rows(ITEMS))))
        assert rows == [
            ["id", "n", OTHERS],
            ["1", "-5", ""],
            ['a "quoted",\nline', "", '{"late": {"M": {"x": {"B": "/w=="}}}}'],
        ]

    @pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1"])
    def test_no_text_is_a_formula(self, text):
        sheet = Spreadsheet([{"id": {"S": text}}], ["id"])
        (row,) = csv.reader(io.StringIO(sheet.rows([{"id": {"S": text}}])))
        assert row[0] == "'" + text


def test_numbers_as_people_read_them():
    assert [size(one) for one in (0, 1023, 1024, 1536, 5 * 1024**3)] == [
        "0 bytes",
        "1,023 bytes",
        "1.0 KB",
        "1.5 KB",
        "5.0 GB",
    ]
    assert [duration(one) for one in (0, 0.25, 61, 90_000, -3600)] == ["0 ms", "250 ms", "1 min 1 s", "1 d 1 h", "-1 h"]
    assert time(0) == "1970-01-01 00:00:00" and time(None) == "" and time(1e30) == "1e+30"
