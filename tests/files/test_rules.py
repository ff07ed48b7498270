"""Rules that replace personal data on its way into a table."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from atoll.cli import main
from atoll.files.rules import Rules, load
from atoll.options import Refused
from tests.files.test_commands import create

KEY = "a secret of many characters"


def rules_of(text: str, tmp_path: Path, keys: dict[str, str] | None = None, table: str = "Users") -> Rules:
    path = tmp_path / "rules.toml"
    path.write_text(f'key = "env:RULES_KEY"\n{text}')
    return load(path, table, {"pk": "S"} if keys is None else keys)


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RULES_KEY", KEY)


def test_each_action_by_path(tmp_path: Path) -> None:
    rules = rules_of(
        """[tables.Users.rules]
        email = "fake email"
        "address.street" = "fake street"
        "address.zip" = "keep"
        "cards[*].number" = "hash"
        "cards[0].owner" = "drop"
        "logins.*.ip" = "fake ip"
        "`odd.name`" = { replace = "none" }
        ssn = "drop"
        family = "fake first-name"
        """,
        tmp_path,
    )
    item: dict[str, Any] = {
        "pk": {"S": "u1"},
        "email": {"S": "ann@real.org"},
        "address": {"M": {"street": {"S": "1 Real Road"}, "zip": {"S": "12345"}, "more": {"S": "stays"}}},
        "cards": {"L": [{"M": {"number": {"N": "4111"}, "owner": {"S": "Ann"}}}, {"M": {"owner": {"S": "Bob"}}}]},
        "logins": {"M": {"monday": {"M": {"ip": {"S": "8.8.8.8"}}}}},
        "odd.name": {"M": {"x": {"S": "Ann"}}},
        "ssn": {"M": {"x": {"S": "1"}}},
        "family": {"SS": ["Ann", "Bob"]},
        "age": {"N": "5"},
    }
    before = json.dumps(item)
    new = rules.changed(item)
    assert json.dumps(item) == before, "the original is changed"
    assert re.fullmatch(r"[a-z]+\.[a-z]+\.[0-9a-f]{20}@example\.com", new["email"]["S"])
    address = new["address"]["M"]
    assert address["street"] != item["address"]["M"]["street"] and address["zip"] == {"S": "12345"}
    assert address["more"] == {"S": "stays"}
    first, second = new["cards"]["L"]
    assert first["M"].keys() == {"number"} and first["M"]["number"]["N"] != "4111"
    assert second == {"M": {"owner": {"S": "Bob"}}}
    assert new["logins"]["M"]["monday"]["M"]["ip"]["S"].startswith("198.18.")
    assert new["odd.name"] == {"S": "none"} and "ssn" not in new
    assert not {"Ann", "Bob"} & set(new["family"]["SS"])
    assert new["age"] == {"N": "5"} and new["pk"] == {"S": "u1"} and not rules.unused


def test_references_between_tables_stay(tmp_path: Path) -> None:
    """The same value has the same hash or fake in any table, attribute and part of a key."""
    text = """
    [tables.Users.rules]
    pk = "hash"
    email = "fake email"
    [tables."Orders-*".rules]
    pk = { split = "#", parts = ["keep", "hash"] }
    contacts = "fake email"
    """
    users, orders = rules_of(text, tmp_path), rules_of(text, tmp_path, table="Orders-2026")
    user = users.changed({"pk": {"S": "ann"}, "email": {"S": "a@b.c"}})
    order = orders.changed({"pk": {"S": "USER#ann"}, "contacts": {"L": [{"S": "a@b.c"}]}})
    assert order["pk"]["S"] == f"USER#{user['pk']['S']}"
    assert order["contacts"]["L"] == [user["email"]]


def test_equal_numbers_have_equal_hashes_and_other_keys_give_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = '[tables.Users.rules]\nn = "hash"\ns = "fake shape"'
    first = rules_of(text, tmp_path)
    assert first.changed({"n": {"N": "5"}}) == first.changed({"n": {"N": "5.00"}}) != first.changed({"n": {"N": "50"}})
    monkeypatch.setenv("RULES_KEY", KEY[::-1])
    other = rules_of(text, tmp_path)
    item = {"n": {"N": "5"}, "s": {"S": "AB-12 cd"}}
    assert first.changed(item)["n"] != other.changed(item)["n"]
    assert re.fullmatch("[A-Z]{2}-[0-9]{2} [a-z]{2}", first.changed(item)["s"]["S"])
    assert first.changed(item)["s"] != other.changed(item)["s"]


def test_values_keep_their_types(tmp_path: Path) -> None:
    rules = rules_of(
        '[tables.Users]\nothers = "hash"\n[tables.Users.rules]\n"fakes.*" = "fake name"\npk = "keep"', tmp_path
    )
    values: dict[str, Any] = {"s": {"S": "x"}, "n": {"N": "-12.50"}, "b": {"B": "AQID"}, "null": {"NULL": True},
              "ns": {"NS": ["1", "2"]}, "bs": {"BS": ["AQ=="]}, "bool": {"BOOL": True}}  # fmt: skip
    new = rules.changed({"pk": {"S": "a"}, **values, "fakes": {"M": values}})
    for found in (new, new["fakes"]["M"]):
        assert "bool" not in found, "the hash of a boolean tells it"
        for name, value in found.items():
            if name in values:
                assert value.keys() == values[name].keys() and (value != values[name] or name == "null"), name
    float(new["fakes"]["M"]["n"]["N"])


def test_others_may_be_dropped_at_any_depth(tmp_path: Path) -> None:
    rules = rules_of(
        '[tables.Users]\nothers = "drop"\n[tables.Users.rules]\npk = "keep"\n"address.city" = "keep"', tmp_path
    )
    item: dict[str, Any] = {
        "pk": {"S": "a"},
        "name": {"S": "Ann"},
        "address": {"M": {"city": {"S": "K"}, "x": {"S": "y"}}},
    }
    assert rules.changed(item) == {"pk": {"S": "a"}, "address": {"M": {"city": {"S": "K"}}}}


@pytest.mark.parametrize(
    ("rule", "keys"),
    [
        ('pk = "drop"', {"pk": "S"}),
        ('pk = "fake name"', {"pk": "S"}),
        ('pk = "fake email"', {"pk": "N"}),
        ('pk = "fake uuid"', {"pk": "B"}),
        ('pk = { replace = "x" }', {"pk": "S"}),
        ('pk = { split = "#", parts = ["keep", "fake city"] }', {"pk": "S"}),
        ('"*" = "drop"', {"pk": "S"}),
        ('x = "keep"', None),
    ],
)
def test_rules_by_which_keys_could_collide_are_refused(rule: str, keys: dict[str, str] | None, tmp_path: Path) -> None:
    text = f"[tables.Users.rules]\n{rule}"
    if keys is None:
        text, keys = f'[tables.Users]\nothers = "drop"\n[tables.Users.rules]\n{rule}', {"pk": "S"}
    with pytest.raises(Refused, match="so that different items could become one"):
        rules_of(text, tmp_path, keys)


@pytest.mark.parametrize(
    "rule", ['"hash"', '"fake email"', '"fake uuid"', '"keep"', '{ split = "#", parts = ["hash"] }']
)
def test_keys_stay_different(rule: str, tmp_path: Path) -> None:
    rules = rules_of(f"[tables.Users.rules]\npk = {rule}", tmp_path)
    keys = {rules.changed({"pk": {"S": f"user#{number}"}})["pk"]["S"] for number in range(2_000)}
    assert len(keys) == 2_000


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('[tables.Users.rules]\na = "scramble"', "an action is keep, drop, hash"),
        ('[tables.Users.rules]\na = "fake nonsense"', "an action is keep"),
        ('[tables.Users.rules]\n"a..b" = "keep"', "is not the path of an attribute"),
        ('[tables.Users.rules]\n"a[x]" = "keep"', "is not the path of an attribute"),
        ('[tables.Users]\nrule = "x"', "may only have others, rules"),
        ('[tables.Users]\nothers = "fake"', "others must be keep, hash or drop"),
        ('[tables.Other.rules]\na = "keep"', "has no rules for the table Users"),
        ("[tables.Users.rules", "rules.toml"),
        ('tables = "x"', "tables must be a table"),
        ('[[tables]]\nname = "Users"', "tables must be a table"),
        ("[tables]\nUsers = 1", r"\[tables.Users\] must be a table"),
        ('[tables.Users]\nrules = "hash"', r"\[tables.Users.rules\] must be a table"),
        ('[tables.Users.rules]\na.b = "hash"', "an action is keep"),
    ],
)
def test_a_file_that_is_wrong(text: str, reason: str, tmp_path: Path) -> None:
    with pytest.raises(Refused, match=reason):
        rules_of(text, tmp_path)


def test_a_short_key_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RULES_KEY", "short")
    with pytest.raises(Refused, match="must have at least 16 characters"):
        rules_of('[tables.Users.rules]\na = "hash"', tmp_path)
    rules_of('[tables.Users.rules]\na = "drop"', tmp_path)  # needs no key


class TestImport:
    @pytest.fixture
    def files(self, tmp_path: Path) -> Path:
        lines = [json.dumps({"pk": f"user{number}", "email": f"person{number}@real.org"}) for number in range(300)]
        (tmp_path / "users.jsonl").write_text("\n".join(lines))
        (tmp_path / "rules.toml").write_text(
            'key = "env:RULES_KEY"\n[tables.Users.rules]\npk = "hash"\nemail = "fake email"\n"adress.x" = "drop"\n'
        )
        return tmp_path

    def test_no_original_reaches_the_table(self, server: Any, files: Path, capsys: pytest.CaptureFixture[str]) -> None:
        client = create(server, "Users")
        words = ["import", "users.jsonl", "--table", "Users", "--rules", "rules.toml"]
        assert main([*words, "--endpoint", server.endpoint_url]) == 0
        items = client.scan(TableName="Users")["Items"]
        assert len(items) == 300 and not re.search("user[0-9]|real", str(items))
        assert "no item has adress.x: are these rules mistyped?" in capsys.readouterr().err

    def test_a_preview_writes_nothing(self, server: Any, files: Path, capsys: pytest.CaptureFixture[str]) -> None:
        create(server, "Users")
        words = ["import", "users.jsonl", "--table", "Users", "--rules", "rules.toml", "--preview", "2"]
        assert main([*words, "--endpoint", server.endpoint_url]) == 0
        told = capsys.readouterr()
        assert told.out.count("item ") == 2 and "  - email: person1@real.org\n  + email: " in told.out
        assert "adress.x" in told.err
        assert server.client().scan(TableName="Users")["Count"] == 0 and not list(files.glob(".atoll-import*"))
