"""Operations without sockets: a region in memory with a clock that the test moves."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import orjson
import pytest

from atoll import errors
from atoll.capacity.buckets import LocalBuckets
from atoll.clock import ManualClock
from atoll.database import background
from atoll.database.region import Region, Settings
from tests import desk
from tests.engines import findings, fresh_engine, run

START_MS = 1_800_000_000_000


class Service:
    """`service.put_item(TableName=..., ...)` is the request PutItem; answers are as a client would parse them."""

    def __init__(self, settings: Settings) -> None:
        self.clock = ManualClock(START_MS)
        buckets = LocalBuckets(self.clock)
        self.region = Region("us-east-1", fresh_engine(), self.clock, settings, buckets=buckets)
        self.pretends = False
        """Whether the test has written rows that the API would not write. Otherwise its end checks the store."""

    def request(self, operation: str, body: dict[str, Any], target: str = "DynamoDB_20120810") -> Any:
        body = orjson.loads(orjson.dumps(body))
        answer = orjson.dumps(run(desk.call(self.region, operation, body, target)))
        return orjson.loads(answer) if answer else None

    def __getattr__(self, name: str) -> Callable[..., Any]:
        operation = "".join(word.capitalize() for word in name.split("_"))
        return lambda **body: self.request(operation, body)

    def refused(self, operation: str, **body: Any) -> errors.ApiError:
        """The error that the request gets."""
        with pytest.raises(errors.ApiError) as caught:
            self.request(operation, body)
        return caught.value

    def settle(self) -> None:
        """Run the background steps that are due."""
        run(background.run(self.region))

    def table(self, name: str = "Things", *, sort: str | None = None, **more: Any) -> str:
        """Create a table with the partition key `pk` (S) and, if asked for, the sort key `sk` of that type."""
        keys = [{"AttributeName": "pk", "KeyType": "HASH"}]
        types = {"pk": "S", **more.pop("types", {})}
        if sort:
            keys.append({"AttributeName": "sk", "KeyType": "RANGE"})
            types["sk"] = sort
        definitions = [{"AttributeName": n, "AttributeType": t} for n, t in types.items()]
        body = {"TableName": name, "KeySchema": keys, "AttributeDefinitions": definitions, **more}
        self.request("CreateTable", {"BillingMode": "PAY_PER_REQUEST", **body})
        return name


@pytest.fixture
def service(request: pytest.FixtureRequest) -> Iterator[Service]:
    """A test marked with `error_style` states the style of the texts that it expects."""
    style = request.node.get_closest_marker("error_style")
    service = Service(Settings() if style is None else Settings(error_style=style.args[0]))
    yield service
    assert service.pretends or not findings(service.region)


@pytest.fixture
def slow_service() -> Iterator[Service]:
    """Changes of tables take ten seconds."""
    service = Service(Settings(control_plane_delay_ms=10_000))
    yield service
    assert service.pretends or not findings(service.region)
