"""The log: its records, in both forms, and the fields of each request."""

from __future__ import annotations

import io
import json
import logging
import re
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from atoll import logs, testing
from atoll.api import call as pipeline
from atoll.api.services import TARGETS
from atoll.errors import ApiError
from atoll.storage.engine import Conflict
from atoll.storage.memory import MemoryEngine
from tests.desk import NOBODY

GET_ITEM = TARGETS[b"DynamoDB_20120810.GetItem"]


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level, hook = root.handlers[:], root.level, sys.excepthook
    yield
    logging.captureWarnings(False)
    root.handlers[:], sys.excepthook = handlers, hook
    root.setLevel(level)


def logged(how: str, level: str = "info") -> io.StringIO:
    stream = io.StringIO()
    logs.configure(how, level, stream)
    return stream


def fail() -> None:
    try:
        raise ZeroDivisionError("oh")
    except ZeroDivisionError:
        logging.getLogger("atoll.part").exception("it failed", extra={"region": "mars-north-1"})


class TestForms:
    def test_json_has_one_object_a_line(self) -> None:
        stream = logged("json")
        logging.getLogger("atoll.part").warning('"%s"\nis slow', "ü", extra={"table": "T", "latency_ms": 7, "no": None})
        fail()
        first, second = (json.loads(line) for line in stream.getvalue().splitlines())
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", first.pop("time"))
        assert isinstance(first.pop("pid"), int)
        assert first == {
            "level": "warning", "message": '"ü"\nis slow', "source": "atoll.part", "table": "T", "latency_ms": 7
        }  # fmt: skip
        assert second["region"] == "mars-north-1"
        assert second["traceback"].endswith("ZeroDivisionError: oh")

    def test_text_has_the_same_fields(self) -> None:
        stream = logged("text")
        extra = {"table": "T", "engine": "sqlite (full)", "empty": "", "no": None}
        logging.getLogger("atoll.part").warning("%s is slow", "it", extra=extra)
        assert re.fullmatch(
            r"\S+Z WARNING it is slow pid=\d+ table=T engine=\"sqlite \(full\)\" empty=\"\"\n", stream.getvalue()
        )

    def test_a_client_cannot_begin_a_line_of_text(self) -> None:
        stream = logged("text")
        logging.getLogger("atoll").warning("no %s", "x\nERROR y\x1b[0m", extra={"table": "a\nERROR b"})
        assert len(stream.getvalue().splitlines()) == 1
        assert "\x1b" not in stream.getvalue()

    def test_a_traceback_follows_its_line(self) -> None:
        stream = logged("text")
        fail()
        lines = stream.getvalue().splitlines()
        assert lines[0].endswith("region=mars-north-1")
        assert lines[1] == "Traceback (most recent call last):"

    def test_lower_levels_are_left_out(self) -> None:
        stream = logged("json", "warning")
        logging.getLogger("atoll").info("nothing much")
        assert stream.getvalue() == ""

    def test_an_error_that_ends_the_process_has_the_form_of_all_records(self) -> None:
        stream = logged("json")
        sys.excepthook(ZeroDivisionError, ZeroDivisionError("oh"), None)
        record = json.loads(stream.getvalue())
        assert (record["level"], record["message"]) == ("critical", "this process failed unexpectedly and ends")
        assert "ZeroDivisionError: oh" in record["traceback"]

    def test_a_refused_start_is_a_record_of_json_or_a_plain_line(self, capsys: pytest.CaptureFixture[str]) -> None:
        stream = logged("json")
        logs.refuse("the port is taken")
        assert json.loads(stream.getvalue())["message"] == "the port is taken"
        logged("text")
        logs.refuse("the port is taken")
        assert capsys.readouterr().err == "atoll: the port is taken\n"


class TestRepeats:
    def test_a_source_that_repeats_a_line_is_left_out_for_a_minute(self) -> None:
        stream = logged("json")
        handler = logging.getLogger().handlers[0]
        said = [(0, "a", "x"), (1, "a", "x"), (2, "a", "x"), (2, "b", "x"), (59, "a", "x"), (60, "a", "x"),
                (61, "a", "y"), (62, "a", "x")]  # fmt: skip
        for second, source, message in said:
            record = logging.makeLogRecord({"name": source, "levelno": 30, "levelname": "WARNING", "msg": message})
            record.created = 1_800_000_000.0 + second
            handler.handle(record)
        records = [json.loads(line) for line in stream.getvalue().splitlines()]
        assert [(one["time"][17:19], one["source"], one["message"], one.get("not_logged")) for one in records] == [
            ("00", "a", "x", None), ("02", "b", "x", None), ("00", "a", "x", 3), ("01", "a", "y", None),
            ("02", "a", "x", None),
        ]  # fmt: skip

    def test_records_with_other_fields_are_not_the_same(self) -> None:
        stream = logged("json")
        for number in (1, 2):
            logging.getLogger("atoll").warning("a slow request", extra={"request_id": number})
        assert len(stream.getvalue().splitlines()) == 2

    def test_one_line_a_minute_has_the_number_of_suppressed_lines(self, caplog: pytest.LogCaptureFixture) -> None:
        seconds = [0]
        repeats = logs.Repeats(logging.getLogger("atoll"), lambda: seconds[0] * 10**9)
        for seconds[0] in (0, 1, 59, 60, 61, 200):
            repeats.log("kind", logging.ERROR, "again", {"table": "T"})
        repeats.log("another", logging.ERROR, "another", {})
        told = [(record.message, getattr(record, "not_logged", None)) for record in caplog.records]
        assert told == [("again", None), ("again", 2), ("again", 1), ("another", None)]
        assert caplog.records[0].__dict__["table"] == "T"


class TestRequests:
    """Lines that belong to a request have the id that its answer carries."""

    @pytest.mark.parametrize("failure", [ZeroDivisionError("oh"), Conflict("tried 5 times")])
    def test_a_failure_is_logged_once_with_the_id_of_its_request(
        self, failure: Exception, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        async def transact(engine: MemoryEngine, fn: Any) -> Any:
            raise failure

        with testing.serve() as server:
            client = server.client(config=Config(retries={"total_max_attempts": 1}))
            client.list_tables()
            monkeypatch.setattr(MemoryEngine, "transact", transact)
            caught = []
            for _ in range(3):
                with pytest.raises(ClientError) as error:
                    client.put_item(TableName="Things", Item={"pk": {"S": "a"}})
                caught.append(error.value.response["ResponseMetadata"])
            monkeypatch.undo()
        records = [record for record in caplog.records if hasattr(record, "request_id")]
        assert [record.__dict__["request_id"] for record in records] == [caught[0]["RequestId"]]
        assert records[0].__dict__["operation"] == "DynamoDB.PutItem"
        assert records[0].__dict__["table"] == "Things"
        assert "oh" not in str(caught)

    def test_a_slow_request_is_logged_with_its_table_and_latency(
        self, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        answers = [({"Item": {}}, 999), ({"Item": {}}, 1_000), (ApiError("ThrottlingException", "slow down"), 2_500)]
        now_ns = 0

        async def call(*asked: object) -> Any:
            nonlocal now_ns
            answer, ms = answers.pop(0)
            now_ns += ms * 1_000_000
            if isinstance(answer, ApiError):
                raise answer
            return answer

        monkeypatch.setattr(pipeline, "monotonic_ns", lambda: now_ns)
        timed = pipeline.logging_slow(call, 1_000, lambda: "ID")
        body = {"TableName": "Things", "Key": {"pk": {"S": "a"}}}
        for answer, _ in list(answers):
            try:
                assert run(timed(GET_ITEM, "", NOBODY, body, 0)) == answer
            except ApiError as error:
                assert error is answer
        told = [{name: record.__dict__.get(name) for name in SLOW} for record in caplog.records]
        common = {"message": "a slow request", "operation": "DynamoDB.GetItem", "table": "Things", "request_id": "ID"}
        assert told == [
            {**common, "latency_ms": 1_000, "error": None},
            {**common, "latency_ms": 2_500, "error": "ThrottlingException"},
        ]

    def test_a_slow_request_without_a_valid_body_is_logged_too(self, caplog: pytest.LogCaptureFixture) -> None:
        async def call(*asked: object) -> Any:
            raise ApiError("ValidationException", "no")

        timed = pipeline.logging_slow(call, 0, lambda: "ID")
        with pytest.raises(ApiError):
            run(timed(GET_ITEM, "", NOBODY, {"TableName": 5}, 0))
        (record,) = caplog.records
        assert record.__dict__["table"] is None


SLOW = ("message", "operation", "table", "request_id", "latency_ms", "error")


def run(coroutine: Any) -> Any:
    try:
        coroutine.send(None)
    except StopIteration as end:
        return end.value
    raise AssertionError("it waits for something")
