from __future__ import annotations

from atoll.faults.requests import named


def test_members_that_a_transaction_does_not_know_name_no_item() -> None:
    """While a fault was declared, such a member got an internal error."""
    get = {"Get": {"TableName": "a", "Key": {"pk": {"S": "b"}}}, "Limit": True, "Update": None}
    assert named("TransactGetItems", {"TransactItems": [get]}) == [("a", {"pk": {"S": "b"}})]
