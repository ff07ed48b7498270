"""`atoll import` and `atoll export`, as their users run them."""

from __future__ import annotations

import gzip
import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import zstandard

from atoll.cli import main
from atoll.files import importing
from atoll.replicate.ends import End
from atoll.replicate.failures import Failed
from atoll.replicate.writing import Writer
from atoll.testing import LocalServer

EVERY_TYPE: dict[str, Any] = {
    "pk": {"S": "all \u20ac"}, "b": {"B": b"hi"}, "n": {"N": "1.5"}, "t": {"BOOL": True}, "z": {"NULL": True},
    "l": {"L": [{"B": b"x"}, {"M": {"a b": {"N": "7"}}}]}, "ss": {"SS": ["a", "b"]}, "ns": {"NS": ["1", "2"]},
    "bs": {"BS": [b"x"]}, "m": {"M": {}},
}  # fmt: skip


def create(server: LocalServer, name: str = "Things") -> Any:
    client = server.client("dynamodb")
    client.create_table(
        TableName=name, BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
    )  # fmt: skip
    return client


def items(client: Any, name: str = "Things") -> list[Any]:
    pages = client.get_paginator("scan").paginate(TableName=name)
    return sorted((item for page in pages for item in page["Items"]), key=lambda item: str(item["pk"]["S"]))


def run(server: LocalServer, *arguments: str) -> int:
    return main([*arguments, "--endpoint", server.endpoint_url, "--region", "us-east-1"])


def test_the_endpoint_is_that_of_the_environment(
    server: LocalServer, capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    create(server).put_item(TableName="Things", Item=EVERY_TYPE)
    monkeypatch.setenv("AWS_ENDPOINT_URL", server.endpoint_url)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    assert main(["export", "Things", "out"]) == 0
    assert main(["import", "out", "--table", "Again", "--create"]) == 0
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    assert main(["import", "out", "--table", "Again", "--endpoint-url", server.endpoint_url]) == 0
    assert main(["export", "Things", "more"]) == 1
    assert "http://127.0.0.1:9" in capsys.readouterr().err


def test_an_exported_table_can_be_imported_elsewhere(server: LocalServer, capsys: Any) -> None:
    client = create(server)
    client.put_item(TableName="Things", Item=EVERY_TYPE)
    for number in range(300):
        client.put_item(TableName="Things", Item={"pk": {"S": f"{number}"}, "v": {"S": "x" * 10_000}})
    assert run(server, "export", "Things", "out", "--segments", "3") == 0
    assert run(server, "import", "out", "--table", "Again", "--create") == 0
    assert items(client, "Again") == items(client)
    manifest = json.loads(Path("out/manifest.json").read_text())
    assert manifest["itemCount"] == 301
    assert not Path("out/progress.json").exists()
    assert "done: 301 items" in capsys.readouterr().err
    assert run(server, "export", "Things", "out") == 1
    segment = Path("out") / manifest["files"][0]["name"]
    segment.write_bytes(segment.read_bytes()[:-1])
    assert run(server, "import", "out", "--table", "Again") == 1
    assert "checksum" in capsys.readouterr().err


def test_an_interrupted_export_continues(server: LocalServer, monkeypatch: pytest.MonkeyPatch) -> None:
    client = create(server)
    for number in range(400):
        client.put_item(TableName="Things", Item={"pk": {"S": f"{number}"}, "v": {"S": "x" * 10_000}})
    call, calls = End.call, [0]

    def failing(self: End, operation: str, *gate: Any, **parameters: Any) -> Any:
        calls[0] += operation == "Scan"
        if calls[0] > 3:
            raise Failed("interrupted")
        return call(self, operation, *gate, **parameters)

    for _ in range(2):
        calls[0] = 0
        with monkeypatch.context() as patch:
            patch.setattr(End, "call", failing)
            run(server, "export", "Things", "out", "--segments", "2")
        for segment in Path("out/data").iterdir():  # a page that was written, though not noted
            segment.write_bytes(segment.read_bytes() + gzip.compress(b"half"))
    if not Path("out/manifest.json").exists():
        assert run(server, "export", "Things", "out") == 0
    lines = [line for one in Path("out/data").iterdir() for line in gzip.decompress(one.read_bytes()).splitlines()]
    found = [json.loads(line)["Item"]["pk"]["S"] for line in lines if line != b"half"]
    assert sorted(found) == sorted(map(str, range(400)))


def test_an_interrupted_import_continues(server: LocalServer, monkeypatch: pytest.MonkeyPatch) -> None:
    client = create(server)
    lines = [json.dumps({"pk": f"{number}", "v": number}) for number in range(1_000)]
    Path("things.jsonl").write_text("\n".join(lines))
    write, calls, written = Writer.write, [0], [0]

    def failing(self: Writer, requests: Any) -> None:
        calls[0] += 1
        if calls[0] > 20:
            raise Failed("interrupted")
        written[0] += len(requests)
        write(self, requests)

    with monkeypatch.context() as patch:
        patch.setattr(Writer, "write", failing)
        assert run(server, "import", "things.jsonl", "--table", "Things") == 1
    state = json.loads(Path(".atoll-import-Things.json").read_text())
    assert list(state["done"].values()) == [400]
    before = written[0]
    with monkeypatch.context() as patch:
        patch.setattr(Writer, "write", lambda self, requests: (written.append(len(requests)), write(self, requests)))
        assert run(server, "import", "things.jsonl", "--table", "Things") == 0
    assert sum(written[1:]) == 600
    assert before >= 400
    assert len(items(client)) == 1_000
    assert not Path(".atoll-import-Things.json").exists()


PLAIN = [{"pk": "a", "n": 1.50, "l": [1, None, "x"], "m": {"t": True}, "z": None}, {"pk": "b"}]
PLAIN_ITEMS = [
    {"pk": {"S": "a"}, "n": {"N": "1.5"}, "l": {"L": [{"N": "1"}, {"NULL": True}, {"S": "x"}]},
     "m": {"M": {"t": {"BOOL": True}}}},
    {"pk": {"S": "b"}},
]  # fmt: skip
TYPED = b'{"Item":{"pk":{"S":"a"},"b":{"B":"aGk="}}}\n\n{"Item":{"pk":{"S":"b"}}}'
TYPED_ITEMS = [{"pk": {"S": "a"}, "b": {"B": b"hi"}}, {"pk": {"S": "b"}}]
CSV = b'pk,n,t,zip,v\n1,5,true,01234,"x, ""y"""\n2,,false,1e400x,\n'
CSV_ITEMS = [
    {"pk": {"S": "1"}, "n": {"N": "5"}, "t": {"BOOL": True}, "zip": {"S": "01234"}, "v": {"S": 'x, "y"'}},
    {"pk": {"S": "2"}, "t": {"BOOL": False}, "zip": {"S": "1e400x"}},
]
FILES: list[tuple[str, bytes, list[str], list[Any]]] = [
    ("plain.jsonl", "\n".join(map(json.dumps, PLAIN)).encode(), [], PLAIN_ITEMS),
    ("typed.json", TYPED, [], TYPED_ITEMS),
    ("typed.json.gz", gzip.compress(TYPED), [], TYPED_ITEMS),
    ("typed.json.zst", zstandard.compress(TYPED), [], TYPED_ITEMS),
    ("guessed.csv", CSV, [], CSV_ITEMS),
    ("strings.csv", b"pk,n\n1,5\n", ["--strings"], [{"pk": {"S": "1"}, "n": {"S": "5"}}]),
    ("types.csv", b"pk,n,b\n1,5,aGk=\n", ["--types", "n=S,b=B"],
     [{"pk": {"S": "1"}, "n": {"S": "5"}, "b": {"B": b"hi"}}]),
    ("tabs.tsv", b"pk\tn\n1\t5\n", [], [{"pk": {"S": "1"}, "n": {"N": "5"}}]),
    ("twice.jsonl", b'{"pk":"a","n":1}\n{"pk":"a","n":2}\n', [], [{"pk": {"S": "a"}, "n": {"N": "2"}}]),
]  # fmt: skip


@pytest.mark.parametrize(("name", "content", "options", "expected"), FILES, ids=[row[0] for row in FILES])
def test_forms_of_files(
    server: LocalServer, name: str, content: bytes, options: list[str], expected: list[Any]
) -> None:
    client = create(server)
    Path(name).write_bytes(content)
    assert run(server, "import", name, "--table", "Things", *options) == 0
    assert items(client) == expected


def test_the_file_of_dynamodb_local(server: LocalServer) -> None:
    client = create(server)
    with closing(sqlite3.connect("shared-local-instance.db")) as file:
        file.execute('CREATE TABLE "Local-x" (hashKey TEXT, rangeKey TEXT, hashValue BLOB, rangeValue BLOB, '
                     "itemSize INTEGER, ObjectJSON BLOB)")  # fmt: skip
        rows = [('{"pk":{"S":"a"},"b":{"B":"aGk="}}',), ('{"pk":{"S":"b"}}',)]
        file.executemany('INSERT INTO "Local-x" (ObjectJSON) VALUES (?)', rows)
        file.commit()
    arguments = ["import", "shared-local-instance.db", "--table", "Things"]
    assert run(server, *arguments) == 1
    assert run(server, *arguments, "--source-table", "Local-x") == 0
    assert items(client) == TYPED_ITEMS


FAULTS: list[tuple[str, bytes, str]] = [
    ("broken.jsonl", b'{"pk":"a"}\n{oops\n', "record 2: no JSON"),
    ("list.jsonl", b"[]\n", "record 1: no JSON object"),
    ("untyped.jsonl", b'{"Item":{"pk":"a"}}\n', "record 1: 'a' is not an attribute value"),
    ("kind.jsonl", b'{"Item":{"pk":{"X":"a"}}}\n', "record 1: {'X': 'a'} is not an attribute value"),
    ("bare.jsonl", b'{"Item":{"pk":{"N":1}}}\n', "record 1: {'N': 1} is not an attribute value"),
    ("set.jsonl", b'{"Item":{"pk":{"S":"a"},"s":{"NS":[1]}}}\n', "record 1: {'NS': [1]} is not an attribute value"),
    ("binary.jsonl", b'{"Item":{"pk":{"B":"a"}}}\n', "record 1: {'B': 'a'} is not an attribute value"),
    ("half.jsonl", b'{"pk":"a"}\n{"pk":"\\ud83d"}\n', "record 2: it cannot be sent"),
    ("keyless.jsonl", b'{"n":1}\n', "lacks the key pk"),
    ("number.jsonl", b'{"pk":{"x":1}}\n', "the target refuses an item"),
    ("deep.jsonl", b'{"pk":' + b"[" * 100_000 + b"\n", "no JSON"),
    ("cut.json.gz", gzip.compress(TYPED)[:-9], "after record"),
    ("none.json.gz", b"plain", "after record 0"),
    ("quotes.csv", b'pk,v\na,"b\n', "after record"),
    ("wide.csv", b"pk\na,b\n", "the row has 2 fields"),
    ("twice.csv", b"pk,pk\na,b\n", "the header has a duplicate name"),
    ("latin.csv", b"pk\n\xff\n", "after record"),
    ("things.xml", b"", "the name must end in"),
    ("empty.db", b"", "no such table"),
]


@pytest.mark.parametrize(("name", "content", "text"), FAULTS, ids=[row[0] for row in FAULTS])
def test_a_fault_in_a_file_ends_the_import(
    server: LocalServer, name: str, content: bytes, text: str, capsys: Any
) -> None:
    create(server)
    Path(name).write_bytes(content)
    assert run(server, "import", name, "--table", "Things") == 1
    assert text in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [
        ["import", "missing.csv", "--table", "Things"],
        ["import", ".", "--table", "Things", "--types", "a=X"],
        ["export", "Things", "out", "--segments", "0"],
        ["export", "Things", "out", "--read-rate", "x"],
    ],
)
def test_invalid_options(arguments: list[str]) -> None:
    assert main(arguments) == 2


def test_progress_is_saved_now_and_then(tmp_path: Path) -> None:
    state = importing.ImportProgress(tmp_path / "state", "one")
    state.done["a"] = 5
    state.save(now=True)
    again = importing.ImportProgress(tmp_path / "state", "one")
    again.load()
    assert again.done == {"a": 5}
    with pytest.raises(Failed):
        importing.ImportProgress(tmp_path / "state", "other").load()
