"""The protocols of CloudWatch on the wire, and the error for a request for another service."""

from __future__ import annotations

import gzip
import random
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any
from xml.etree import ElementTree

import botocore.session
import cbor2
import orjson
import pytest

from atoll.api.service_model import model
from atoll.errors import ApiError
from atoll.testing import LocalServer, serve
from atoll.wire import cbor, query
from tests.metrics.conftest import START_S

SERVICE = "/service/GraniteServiceVersion20100801/operation/"
TARGET, JSON = "GraniteServiceVersion20100801", "application/x-amz-json-1.0"
FORM = "application/x-www-form-urlencoded; charset=utf-8"
SMITHY = {"smithy-protocol": "rpc-v2-cbor", "Content-Type": "application/cbor"}
XMLNS = "{http://monitoring.amazonaws.com/doc/2010-08-01/}"


@pytest.fixture(scope="module")
def one_server() -> Iterator[LocalServer]:
    with serve() as server:
        server.clock.set(START_S)
        yield server


def ask(server: LocalServer, path: str, body: bytes, headers: dict[str, str]) -> tuple[int, Any, bytes]:
    request = urllib.request.Request(server.endpoint_url + path, body, headers)
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.status, answer.headers, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.headers, error.read()


def test_a_cbor_call(one_server: LocalServer) -> None:
    data = {
        "Namespace": "Cbor",
        "MetricData": [{"MetricName": "M", "Value": 1, "Timestamp": cbor2.CBORTag(1, START_S)}],
    }
    status, headers, body = ask(one_server, SERVICE + "PutMetricData", cbor2.dumps(data), SMITHY)
    assert (status, headers["smithy-protocol"], headers["Content-Type"]) == (200, "rpc-v2-cbor", "application/cbor")
    assert cbor2.loads(body) == {}
    asked = {
        "Namespace": "Cbor", "MetricName": "M", "Period": 60, "Statistics": ["Sum"],
        "StartTime": cbor2.CBORTag(1, START_S - 60.5), "EndTime": cbor2.CBORTag(1, START_S + 60),
    }  # fmt: skip
    *_, body = ask(one_server, SERVICE + "GetMetricStatistics", cbor2.dumps(asked), SMITHY)
    assert b"iTimestamp\xc1\xfb" in body  # a tag, and a double
    assert cbor2.loads(body)["Datapoints"][0]["Sum"] == 1


def test_a_form(one_server: LocalServer) -> None:
    datum = b"MetricData.member.1.MetricName=M&MetricData.member.1.Value=2"
    form = b"Action=PutMetricData&Version=2010-08-01&Namespace=Form&" + datum
    status, headers, body = ask(one_server, "/", form, {"Content-Type": FORM})
    assert (status, headers["Content-Type"]) == (200, "text/xml")
    root = ElementTree.fromstring(body)
    assert root.tag == f"{XMLNS}PutMetricDataResponse"
    assert root.findtext(f"{XMLNS}ResponseMetadata/{XMLNS}RequestId") == headers["x-amzn-RequestId"]


def test_a_compressed_form(one_server: LocalServer) -> None:
    form = gzip.compress(b"Action=ListMetrics&Version=2010-08-01&Namespace=None")
    status, _, body = ask(one_server, "/", form, {"Content-Type": FORM, "Content-Encoding": "gzip"})
    assert status == 200
    assert ElementTree.fromstring(body).find(f"{XMLNS}ListMetricsResult/{XMLNS}Metrics") is not None


def test_errors_are_in_the_protocol_of_the_request(one_server: LocalServer) -> None:
    status, headers, body = ask(one_server, SERVICE + "PutMetricData", cbor2.dumps({"Namespace": "A"}), SMITHY)
    error = cbor2.loads(body)
    assert (status, headers["x-amzn-query-error"]) == (400, "MissingParameter;Sender")
    assert error["__type"] == "com.amazonaws.cloudwatch.v2010_08_01#MissingRequiredParameterException"
    status, _, body = ask(
        one_server, "/", b"Action=PutMetricData&Version=2010-08-01&Namespace=A", {"Content-Type": FORM}
    )
    root = ElementTree.fromstring(body)
    assert (status, root.findtext(f"{XMLNS}Error/{XMLNS}Code")) == (400, "MissingParameter")
    assert root.findtext(f"{XMLNS}Error/{XMLNS}Type") == "Sender"
    headers = {
        "X-Amz-Target": "GraniteServiceVersion20100801.PutMetricData",
        "Content-Type": "application/x-amz-json-1.0",
    }
    status, headers, body = ask(one_server, "/", b'{"Namespace":"A"}', headers)
    assert (status, headers["x-amzn-query-error"]) == (400, "MissingParameter;Sender")
    assert orjson.loads(body)["message"] == error["message"]


OTHERS = [
    ("sqs", "list_queues", {}), ("sns", "list_topics", {}), ("ec2", "describe_instances", {}),
    ("s3", "list_buckets", {}), ("s3", "get_object", {"Bucket": "b", "Key": "k"}),
    ("kinesis", "list_streams", {}), ("logs", "describe_log_groups", {}), ("ssm", "get_parameter", {"Name": "x"}),
    ("cloudformation", "list_stacks", {}), ("route53", "list_hosted_zones", {}), ("apigateway", "get_rest_apis", {}),
]  # fmt: skip


@pytest.mark.parametrize(("service", "operation", "arguments"), OTHERS, ids=[one[1] for one in OTHERS])
def test_a_request_for_a_service_that_atoll_lacks_names_the_variable(
    one_server: LocalServer, service: str, operation: str, arguments: dict[str, Any]
) -> None:
    session = botocore.session.Session()
    session.set_credentials("atoll", "atoll")
    config = botocore.config.Config(retries={"total_max_attempts": 1})
    client = session.create_client(service, "us-east-1", endpoint_url=one_server.endpoint_url, config=config)
    with pytest.raises(client.exceptions.ClientError) as caught:
        getattr(client, operation)(**arguments)
    assert "AWS_ENDPOINT_URL_DYNAMODB" in str(caught.value)


PIECES = (b".", b"member", b"9" * 30, b"%", b"&", b"\xff", b"\xd8\x1c", b"\x9f", b"inf")
VALUES = (b"1", b"-5", b"", b"nan", b"x", b"1e400")


def test_no_bytes_make_the_decoders_fail_otherwise() -> None:
    """Mutations of valid requests are read, or refused as a client's error."""
    rng = random.Random(5)
    shape = model("cloudwatch").input("GetMetricData")
    form = (
        b"Action=GetMetricData&Version=2010-08-01&StartTime=2026-01-01T00%3A00%3A00Z&EndTime=2026-01-02T00%3A00%3A00Z"
        b"&MetricDataQueries.member.1.Id=m1&MetricDataQueries.member.1.MetricStat.Period=60&MaxDatapoints=5"
        b"&MetricDataQueries.member.1.MetricStat.Metric.Dimensions.member.1.Name=a"
        b"&MetricDataQueries.member.1.ReturnData=true"
    )
    packed = cbor2.dumps({"a": [1, 2.5, None, True, {"b": "c"}], "t": cbor2.CBORTag(1, 5.5), "x": b"y"})
    for _ in range(4_000):
        for valid, decode in ((form, lambda body: query.decode(shape, query.parse(body))), (packed, cbor.decode)):
            body = bytearray(valid)
            for _ in range(rng.randrange(1, 6)):
                at = rng.randrange(len(body))
                kind = rng.randrange(4)
                if kind == 0:
                    body[at] = rng.randrange(256)
                elif kind == 1:
                    del body[at : at + rng.randrange(1, 9)]
                elif kind == 2:
                    body[at:at] = rng.choice(
                        [b".", b"member", b"9" * 30, b"%", b"&", b"\xff", b"\xd8\x1c", b"\x9f", b"inf"]
                    )
                else:
                    body[at:at] = body[at : at + 20]
                if not body:
                    break
            try:
                assert type(decode(bytes(body))) is dict
            except ApiError as error:
                assert error.status == 400


def test_a_body_of_many_containers_is_decoded_as_any_other(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = random.Random(1)

    def encoded(value: Any) -> bytes:
        if not isinstance(value, list | dict):
            return cbor2.dumps(value)
        members = value if isinstance(value, list) else [part for pair in value.items() for part in pair]
        content = b"".join(map(encoded, members))
        if rng.random() < 0.5:  # of unknown size
            return (b"\x9f" if isinstance(value, list) else b"\xbf") + content + b"\xff"
        return cbor._head(0x80 if isinstance(value, list) else 0xA0, len(value)) + content

    def value(depth: int) -> Any:
        if depth and rng.random() < 0.6:
            members = [value(depth - 1) for _ in range(rng.choice([0, 1, 3, 30]))]
            return members if rng.random() < 0.5 else {f"k{number}": one for number, one in enumerate(members)}
        return rng.choice([1, -1.5, "\u00e4" * 30, True, None, cbor2.CBORTag(1, 1.5)])

    def decoded(body: bytes) -> str:
        try:
            return repr(cbor.decode(body))
        except ApiError as error:
            return error.code

    for number in range(600):
        body = bytearray(encoded({"a": value(4), "b": value(2)}))
        for _ in range(number % 3):
            body[rng.randrange(len(body))] = rng.randrange(256)
        monkeypatch.setattr(cbor, "MANY_HEADS", 10**9)
        at_once = decoded(bytes(body))
        monkeypatch.setattr(cbor, "MANY_HEADS", -1)
        assert decoded(bytes(body)) == at_once


def test_malformed_requests_are_clients_errors_on_every_route(one_server: LocalServer) -> None:
    rng = random.Random(9)
    operations = ["GetMetricData", "PutMetricData", "ListMetrics", "GetMetricStatistics", "Nonsense"]
    for number in range(150):
        operation = rng.choice(operations)
        body = cbor2.dumps(junk(rng, 0)) if number % 3 else rng.randbytes(rng.randrange(40))
        assert ask(one_server, SERVICE + operation, body, SMITHY)[0] in (200, 400)
        target = {
            "X-Amz-Target": f"GraniteServiceVersion20100801.{operation}",
            "Content-Type": "application/x-amz-json-1.0",
        }
        json = orjson.dumps(junk(rng, 0), option=orjson.OPT_NON_STR_KEYS)
        assert ask(one_server, "/", json, target)[0] in (200, 400)
        given = [(rng.choice(NAMES).encode(), rng.choice(VALUES)) for _ in range(9)]
        fields = b"&".join(b"%s=%s" % one for one in given)
        form = b"Action=%s&Version=2010-08-01&%s" % (operation.encode(), fields)
        assert ask(one_server, "/", form, {"Content-Type": FORM})[0] in (200, 400)


NAMES = (
    "Namespace", "MetricName", "Period", "StartTime", "EndTime", "Statistics.member.1", "Dimensions.member.1.Name",
    "MetricData.member.1.MetricName", "MetricData.member.1.Value", "MetricData.member.1.Values.member.1", "NextToken",
    "MetricDataQueries.member.1.Id", "MetricDataQueries.member.1.Expression", "MaxDatapoints",
)  # fmt: skip
MEMBERS = sorted({part for name in NAMES for part in name.split(".") if part.isalpha()} - {"member"})


def junk(rng: random.Random, depth: int) -> Any:
    if depth == 0 or (depth < 4 and rng.random() < 0.3):
        return {rng.choice(MEMBERS): junk(rng, depth + 1) for _ in range(rng.randrange(6))}
    if depth < 4 and rng.random() < 0.4:
        return [junk(rng, depth + 1) for _ in range(rng.randrange(3))]
    return rng.choice([0, 1, 60, -1, 2**62, 1.5, 1e308, True, None, "", "a", "Sum", "m1", "m1 + 1", "x" * 300, START_S])
