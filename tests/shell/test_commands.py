"""The commands, as people use them."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from atoll import testing
from atoll.client import Client
from atoll.shell.stream import OLDEST, Record, Stream
from tests.client.stub import Stub
from tests.shell.conftest import Atoll

ATOLL = [sys.executable, "-m", "atoll"]


def lines(printed: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in printed.splitlines()]


class TestTables:
    def test_a_pipe_gets_descriptions(self, client: Client, atoll: Atoll) -> None:
        (described,) = lines(atoll("tables")[1])
        assert (described["TableName"], described["ItemCount"]) == ("Orders", 5)

    def test_a_table_shows_keys_and_indexes(self, client: Client, atoll: Atoll) -> None:
        code, printed, _ = atoll("tables", "Orders", "--output", "table")
        assert code == 0 and "pk S, sk N" in printed and "  by-city  ACTIVE" in printed and "on demand" in printed

    def test_all_pages_of_tables(self, client: Client, atoll: Atoll) -> None:
        for number in range(105):
            client.call("CreateTable", TableName=f"T{number:03}", BillingMode="PAY_PER_REQUEST",
                        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
                        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}])  # fmt: skip
        assert len(lines(atoll("tables")[1])) == 106

    def test_none(self, server: testing.LocalServer, atoll: Atoll) -> None:
        assert atoll("tables") == (0, "", "")
        assert "there are no tables at" in atoll("tables", "--output", "table")[2]

    def test_a_missing_table(self, server: testing.LocalServer, atoll: Atoll) -> None:
        code, _, error = atoll("tables", "Nothing")
        assert code == 2 and "there is no table Nothing at" in error and error.count("\n") == 1


class TestQuery:
    @pytest.mark.parametrize(
        ("words", "numbers"),
        [
            (['pk = "a"'], [0, 1, 2, 3, 4]),
            (["pk = a and sk between 1 and 3", "--reverse"], [3, 2, 1]),
            (["pk = a", "--limit", "2"], [0, 1]),
            (["pk = a", "--filter", 'city = "東京"', "--limit", "1", "--consistent"], [1]),
            (["city = Köln", "--index", "by-city", "--filter", "sk > 2"], [4]),
            (["pk = b"], []),
        ],
    )
    def test_items(self, words: list[str], numbers: list[int], client: Client, atoll: Atoll) -> None:
        code, printed, error = atoll("query", "Orders", *words)
        assert (code, [item["sk"] for item in lines(printed)], error) == (0, numbers, "")

    def test_selected_attributes_are_the_columns(self, client: Client, atoll: Atoll) -> None:
        client.call("PutItem", TableName="Orders",
                    Item={"pk": {"S": "m"}, "sk": {"N": "1"}, "a": {"M": {"b": {"N": "7"}}}})  # fmt: skip
        assert atoll("query", "Orders", "pk = m", "--select", "sk, a.b", "--output", "csv")[1] == (
            'sk,a\n1,"{""b"": 7}"\n'
        )

    def test_all_pages_are_read(self, client: Client, atoll: Atoll) -> None:
        for number in range(12):
            item = {"pk": {"S": "large"}, "sk": {"N": str(number)}, "x": {"S": "x" * 200_000}}
            client.call("PutItem", TableName="Orders", Item=item)
        assert atoll("query", "Orders", "pk = large", "--count")[1] == "12\n"
        assert atoll("query", "Orders", "pk = large", "--count", "--filter", 'x > "x"', "--limit", "7")[1] == "7\n"
        assert atoll("query", "Orders", "pk = large", "--count", "--filter", 'x > "x"', "--limit", "70")[1] == "12\n"
        assert len(lines(atoll("query", "Orders", "pk = large", "--select", "sk")[1])) == 12

    def test_items_with_types_can_be_imported(self, client: Client, atoll: Atoll, tmp_path: Path) -> None:
        (tmp_path / "items.jsonl").write_text(atoll("query", "Orders", "pk = a", "--output", "dynamodb")[1])
        first = json.loads((tmp_path / "items.jsonl").read_text().splitlines()[0])
        assert first == {"Item": {"pk": {"S": "a"}, "sk": {"N": "0"}, "city": {"S": "Köln"}}}

    @pytest.mark.parametrize(
        ("words", "reason"),
        [
            (["city = x"], "'city' is not in the key, which is pk, sk"),
            (["pk = a", "--index", "none"], "Orders has no index none: it has by-city"),
            (["pk = a", "--limit", "0"], "--limit must be a number from 1, not '0'"),
        ],
    )
    def test_invalid_words_are_one_line(self, words: list[str], reason: str, client: Client, atoll: Atoll) -> None:
        code, printed, error = atoll("query", "Orders", *words)
        assert (code, printed) == (2, "") and reason in error and error.count("\n") == 1

    def test_an_error_of_the_endpoint_is_one_line(self, client: Client, atoll: Atoll) -> None:
        code, _, error = atoll("query", "Orders", "pk = a and sk = x")
        assert code == 1 and error.startswith("atoll: ValidationException: ") and error.count("\n") == 1


class TestSql:
    def test_statements(self, client: Client, atoll: Atoll, monkeypatch: pytest.MonkeyPatch) -> None:
        insert = "INSERT INTO Orders VALUE {'pk': ?, 'sk': ?, 'note': ?}"
        words = ["--parameter", "z", "--parameter", "1.50", "--parameter", '{"l": [true, null, "x"]}']
        assert atoll("sql", insert, *words) == (0, "", "1 item inserted\n")
        update = "UPDATE Orders SET x = 5 WHERE pk='z' AND sk=1.5 RETURNING ALL NEW *"
        (updated,) = lines(atoll("sql", update)[1])
        assert updated == {"pk": "z", "sk": 1.5, "x": 5, "note": {"l": [True, None, "x"]}}
        assert atoll("sql", "DELETE FROM Orders WHERE pk='z' AND sk=1.5")[2] == "1 item deleted, if it was there\n"
        monkeypatch.setattr("sys.stdin", io.StringIO("SELECT sk FROM Orders WHERE pk='a';\n"))
        assert lines(atoll("sql", "-", "--limit", "2")[1]) == [{"sk": 0}, {"sk": 1}]

    def test_all_pages_are_read(self, client: Client, atoll: Atoll) -> None:
        for number in range(7):
            item = {"pk": {"S": f"large{number}"}, "sk": {"N": "0"}, "x": {"S": "x" * 300_000}}
            client.call("PutItem", TableName="Orders", Item=item)
        assert len(lines(atoll("sql", "SELECT pk FROM Orders")[1])) == 12

    @pytest.mark.parametrize("value", ["NaN", "-Infinity", "abc", '"abc', "[1"])
    def test_a_parameter_that_is_not_json_is_a_string(self, value: str, client: Client, atoll: Atoll) -> None:
        client.call("PutItem", TableName="Orders", Item={"pk": {"S": value}, "sk": {"N": "1"}})
        (found,) = lines(atoll("sql", "SELECT pk FROM Orders WHERE pk = ?", f"--parameter={value}")[1])
        assert found["pk"] == value

    def test_nonsense(self, client: Client, atoll: Atoll) -> None:
        code, _, error = atoll("sql", "SELEC")
        assert code == 1 and error.startswith("atoll: ValidationException")


class TestTail:
    def test_changes_from_the_oldest_in_order_over_shards_that_close(
        self, server: testing.LocalServer, client: Client, atoll: Atoll
    ) -> None:
        server.rotate("Orders")
        for number in range(3):
            client.call("UpdateItem", TableName="Orders", Key={"pk": {"S": "a"}, "sk": {"N": "0"}},
                        UpdateExpression="SET n = :n",
                        ExpressionAttributeValues={":n": {"N": str(number)}})  # fmt: skip
            server.split("Orders")
        client.call("DeleteItem", TableName="Orders", Key={"pk": {"S": "a"}, "sk": {"N": "0"}})
        changes = lines(atoll("tail", "Orders", "--from", "oldest", "--once")[1])
        of_item = [change for change in changes if change["key"] == {"pk": "a", "sk": 0}]
        assert [change["event"] for change in of_item] == ["INSERT", "MODIFY", "MODIFY", "MODIFY", "REMOVE"]
        assert [change.get("new", {}).get("n") for change in of_item] == [None, 0, 1, 2, None]  # type: ignore[attr-defined]
        assert len(changes) == 9

    def test_text_has_the_differences(self, client: Client, atoll: Atoll) -> None:
        item = {"pk": {"S": "a"}, "sk": {"N": "0"}, "city": {"S": "\x1b[2J"}}
        client.call("PutItem", TableName="Orders", Item=item)
        printed = atoll("tail", "Orders", "--from", "oldest", "--once", "--output", "text")[1].splitlines()
        at = next(number for number, line in enumerate(printed) if "MODIFY" in line)
        assert printed[at].endswith("MODIFY pk=a sk=0")
        assert printed[at + 1 : at + 3] == ["    - city: Köln", "    + city: \\x1b[2J"]

    def test_from_the_latest_old_changes_are_not_shown(self, client: Client, atoll: Atoll) -> None:
        assert atoll("tail", "Orders", "--once") == (0, "", "")

    def test_it_follows_until_ctrl_c(self, server: testing.LocalServer, client: Client) -> None:
        command = [*ATOLL, "tail", "Orders", "--from", "oldest"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None and process.stderr is not None
            for _ in range(5):
                json.loads(process.stdout.readline())
            client.call("PutItem", TableName="Orders", Item={"pk": {"S": "live"}, "sk": {"N": "1"}})
            assert json.loads(process.stdout.readline())["key"] == {"pk": "live", "sk": 1}
            process.send_signal(signal.SIGINT)
            assert process.stdout.read() == "" and process.stderr.read() == ""
        assert process.returncode == 130

    def test_a_table_without_a_stream(self, client: Client, atoll: Atoll) -> None:
        client.call("UpdateTable", TableName="Orders", StreamSpecification={"StreamEnabled": False})
        code, _, error = atoll("tail", "Orders")
        assert code == 2 and "Orders has no stream. Enable one: aws dynamodb update-table" in error

    def test_a_stream_that_ends(self, client: Client, atoll: Atoll) -> None:
        arn = client.call("DescribeTable", TableName="Orders")["Table"]["LatestStreamArn"]
        stream = Stream(client, arn, OLDEST)
        client.call("UpdateTable", TableName="Orders", StreamSpecification={"StreamEnabled": False})
        found: list[Record] = []
        while not stream.ended:
            found += list(stream.records())
        assert len(found) == 5

    def test_deleted_records_are_reported(self, server: testing.LocalServer, client: Client) -> None:
        arn = client.call("DescribeTable", TableName="Orders")["Table"]["LatestStreamArn"]
        stream = Stream(client, arn, OLDEST)
        server.rotate("Orders")
        server.trim("Orders")
        client.call("PutItem", TableName="Orders", Item={"pk": {"S": "new"}, "sk": {"N": "1"}})
        found: list[Record] = []
        while not (stream.settled and found):
            found += list(stream.records())
        assert [record["dynamodb"]["Keys"]["pk"]["S"] for record in found] == ["new"]


class TestEnds:
    def test_the_reader_of_a_pipe_goes_away(self, client: Client) -> None:
        for number in range(60):
            item = {"pk": {"S": "large"}, "sk": {"N": str(number)}, "x": {"S": "x" * 100_000}}
            client.call("PutItem", TableName="Orders", Item=item)
        with subprocess.Popen(
            [*ATOLL, "query", "Orders", "pk = large"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
        ) as process:
            assert process.stdout is not None and process.stderr is not None
            process.stdout.read(10)
            process.stdout.close()
            assert process.stderr.read() == b""
        assert process.returncode == 141

    def test_no_server(self, atoll: Atoll, monkeypatch: pytest.MonkeyPatch) -> None:
        with Stub("hang up") as stub:
            monkeypatch.setenv("AWS_ENDPOINT_URL", stub.url)
            monkeypatch.setattr("atoll.client.client.FIRST_DELAY_S", 0)
            code, _, error = atoll("tables")
        assert code == 1 and error.startswith(f"atoll: {stub.url}: ") and error.count("\n") == 1

    def test_bad_endpoints_and_profiles_are_one_line(self, atoll: Atoll) -> None:
        assert atoll("tables", "--endpoint-url", "x")[::2] == (
            2,
            "atoll: 'x' is not an endpoint: "
            "give a URL such as http://127.0.0.1:8000, a region of the service, or aws\n",
        )
        assert atoll("tables", "--profile", "x")[0] == 2

    def test_a_server_that_requires_signatures_names_the_variables_to_set(
        self, atoll: Atoll, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with testing.serve(auth="sigv4", clock="system") as server:
            monkeypatch.setenv("AWS_ENDPOINT_URL", server.endpoint_url)
            code, _, error = atoll("tables")
        assert code == 1 and "Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or name a profile" in error

    def test_a_terminal_that_lacks_characters_gets_escapes(self, client: Client) -> None:
        for words in (["query", "Orders", "pk = a"], ["tail", "Orders", "--from", "oldest", "--once"]):
            for form in ("json", "table" if words[0] == "query" else "text"):
                done = subprocess.run(
                    [*ATOLL, *words, "--output", form],
                    capture_output=True,
                    env=os.environ | {"PYTHONIOENCODING": "ascii"},
                )
                assert done.returncode == 0 and done.stderr == b"" and b"K\\xf6ln" in done.stdout


class TestCompletion:
    @pytest.mark.parametrize(
        ("words", "found"),
        [
            (["que"], ["query"]),
            (["query", "O"], ["Orders"]),
            (["query", "--region", "us-east-1", ""], ["Orders"]),
            (["query", "Orders", "--out"], ["--output"]),
            (["query", "Orders", "--output", "c"], ["csv"]),
            (["query", "Orders", ""], []),
            (["export", "O"], ["Orders"]),
            (["import", "--table", "O"], ["Orders"]),
            (["import", ""], [":files"]),
            (["serve", "--auth", "iam"], ["iam", "iam-log"]),
            (["serve", "--in-memory", "--quo"], ["--quotas"]),
            (["store", "ch"], ["check"]),
            (["store", "check", "--rep"], ["--repair"]),
            (["completion", ""], ["bash", "zsh", "fish"]),
            (["nonsense", ""], []),
        ],
    )
    def test_words(
        self, words: list[str], found: list[str], client: Client, atoll: Atoll, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("sys.stdin", io.StringIO("".join(f"{word}\n" for word in words)))
        printed = atoll("completion", "words")[1]
        assert [line.partition("\t")[0] for line in printed.splitlines()] == found

    def test_bash_completes_a_line(self, client: Client, atoll: Atoll, tmp_path: Path) -> None:
        program = tmp_path / "atoll"
        program.write_text(f'#!/bin/sh\nexec {" ".join(ATOLL)} "$@"\n')
        program.chmod(0o755)
        script = atoll("completion", "bash")[1] + (
            f'COMP_LINE="{program} query O"; COMP_POINT=${{#COMP_LINE}}; _atoll; echo "${{COMPREPLY[@]}}"'
        )
        done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True)
        assert done.stdout == "Orders\n"
