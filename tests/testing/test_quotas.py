"""Quotas are lifted in the tests of applications, unless they ask for them."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

from atoll import testing


def protected_and_not(server: testing.LocalServer) -> Any:
    client = server.client()
    client.create_table(
        TableName="Things",
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
        DeletionProtectionEnabled=True,
    )
    for protected in (False, True, False):
        client.update_table(TableName="Things", DeletionProtectionEnabled=protected)


def test_a_table_may_be_changed_at_any_time() -> None:
    with testing.serve() as server:
        protected_and_not(server)


def test_quotas_on_request() -> None:
    with testing.serve(quotas=True) as server, pytest.raises(ClientError, match="within the previous 15000") as refused:
        protected_and_not(server)
    assert refused.value.response["Error"]["Code"] == "ThrottlingException"
