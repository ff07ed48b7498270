"""PartiQL against two tables."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson
import pytest

from atoll import errors
from atoll.api.partiql.batch import batch_execute_statement
from atoll.api.partiql.statement import execute_statement
from atoll.api.partiql.transaction import execute_transaction
from tests.engines import run

OPERATIONS = {
    "ExecuteStatement": execute_statement,
    "BatchExecuteStatement": batch_execute_statement,
    "ExecuteTransaction": execute_transaction,
}
GSI = {
    "IndexName": "by-g",
    "KeySchema": [{"AttributeName": "g", "KeyType": "HASH"}],
    "Projection": {"ProjectionType": "KEYS_ONLY"},
}
LSI = {
    "IndexName": "by-l",
    "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "l", "KeyType": "RANGE"}],
    "Projection": {"ProjectionType": "KEYS_ONLY"},
}


class Partiql:
    def __init__(self, service: Any) -> None:
        self.service = service

    def request(self, operation: str, body: dict[str, Any]) -> Any:
        body = orjson.loads(orjson.dumps(body))
        return orjson.loads(orjson.dumps(run(OPERATIONS[operation](self.service.region, body))))

    def execute(self, statement: str, *parameters: dict[str, Any], **more: Any) -> Any:
        body = {"Statement": statement, **more}
        return self.request("ExecuteStatement", body | {"Parameters": list(parameters)} if parameters else body)

    def items(self, statement: str, *parameters: dict[str, Any], **more: Any) -> Any:
        return self.execute(statement, *parameters, **more)["Items"]

    def batch(self, *statements: str | dict[str, Any], **more: Any) -> Any:
        return self.request("BatchExecuteStatement", {"Statements": _bodies(statements), **more})

    def transact(self, *statements: str | dict[str, Any], **more: Any) -> Any:
        return self.request("ExecuteTransaction", {"TransactStatements": _bodies(statements), **more})

    @staticmethod
    def refused(call: Callable[..., Any], *args: Any, **more: Any) -> errors.ApiError:
        with pytest.raises(errors.ApiError) as caught:
            call(*args, **more)
        return caught.value


def _bodies(statements: tuple[str | dict[str, Any], ...]) -> list[dict[str, Any]]:
    return [{"Statement": s} if isinstance(s, str) else s for s in statements]


@pytest.fixture
def sql(service: Any) -> Partiql:
    service.table(
        "Things", sort="N", types={"g": "S", "l": "S"}, GlobalSecondaryIndexes=[GSI], LocalSecondaryIndexes=[LSI]
    )
    service.table("Plain")
    for pk, sk in (("p", 0), ("p", 1), ("p", 2), ("q", 0), ("r", 7)):
        service.put_item(
            TableName="Things",
            Item={
                "pk": {"S": pk},
                "sk": {"N": str(sk)},
                "g": {"S": f"g-{pk}"},
                "l": {"S": f"l{9 - sk}"},
                "a": {"S": f"a{sk}"},
                "m": {"M": {"x": {"N": str(sk)}, "y": {"L": [{"S": "y"}]}}},
            },
        )
    service.put_item(TableName="Plain", Item={"pk": {"S": "p"}, "n": {"N": "1"}, "ss": {"SS": ["a", "b"]}})
    return Partiql(service)
