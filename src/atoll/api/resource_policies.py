"""PutResourcePolicy, GetResourcePolicy, DeleteResourcePolicy, and the ResourcePolicy of CreateTable.

A change takes as long as the delay of the control plane: until then the old policy is shown and in force, and no other
change is accepted. With quotas, changes of one policy must be 15 seconds apart.
"""

from __future__ import annotations

from typing import Any

from atoll import limits
from atoll.api import resource_arns
from atoll.api.authorization.new_policies import locks_out
from atoll.api.resource_arns import TableOrStream
from atoll.api.resource_policy_rules import Shown, checked
from atoll.database import catalog, resource_policies
from atoll.database.region import Region
from atoll.database.resource_policies import ResourcePolicy
from atoll.errors import features as feature_errors
from atoll.errors import resource_policies as errors
from atoll.errors import tables as table_errors
from atoll.security.policies.decision import Policies
from atoll.security.policies.principals import root
from atoll.storage.engine import Snapshot, Transaction

Body = dict[str, Any]

NO_POLICY = "NO_POLICY"


async def put_resource_policy(region: Region, body: Body) -> Body:
    target, expected = _target(region, body["ResourceArn"]), body.get("ExpectedRevisionId")
    given = checked(body["Policy"], stream=target.stream is not None)
    account = region.settings.account
    if not region.settings.evaluates_policies and locks_out(
        root(account), Policies(), given.text, body["ResourceArn"], account, lambda key: ()
    ):
        _check_confirmed(body)

    def change(tx: Transaction) -> Body:
        _check_exists(region, tx, target, changes=True)
        now_ms, old = region.clock.now_ms(), resource_policies.get(tx, target.table, target.stream)
        _check_revision(target, old, expected)
        if old is not None and old.policy == given.text and old.versioned == given.versioned:
            return {"RevisionId": str(old.revision)}
        _check_changeable(region, target, old, now_ms)
        delay_ms = region.settings.control_plane_delay_ms
        new = resource_policies.changed(old, given.text, given.versioned, now_ms, delay_ms)
        resource_policies.put(tx, target.table, target.stream, new)
        return {"RevisionId": str(new.revision)}

    return await _changed(region, change)


async def delete_resource_policy(region: Region, body: Body) -> Body:
    target, expected = _target(region, body["ResourceArn"]), body.get("ExpectedRevisionId")

    def change(tx: Transaction) -> Body:
        _check_exists(region, tx, target, changes=True)
        now_ms, old = region.clock.now_ms(), resource_policies.get(tx, target.table, target.stream)
        _check_revision(target, old, expected)
        if old is None:
            return {}
        if old.policy is not None:
            _check_changeable(region, target, old, now_ms)
            delay_ms = region.settings.control_plane_delay_ms
            new = resource_policies.changed(old, None, False, now_ms, delay_ms)
            resource_policies.put(tx, target.table, target.stream, new)
        return {"RevisionId": str(old.revision)}

    return await _changed(region, change)


async def _changed(region: Region, change: Any) -> Body:
    answer: Body = await region.transact(change)
    # This process applies the policy at once; others apply it when they next read the catalog.
    region.catalog.learn(await region.engine.read(catalog.read_definitions))
    return answer


async def get_resource_policy(region: Region, body: Body) -> Body:
    target, arn = _target(region, body["ResourceArn"]), body["ResourceArn"]

    def find(snapshot: Snapshot) -> ResourcePolicy | None:
        _check_exists(region, snapshot, target, changes=False)
        return resource_policies.get(snapshot, target.table, target.stream)

    found = await region.read(find)
    if found is not None:
        text, revision = found.visible(region.clock.now_ms(), region.settings.control_plane_delay_ms)
        if text is not None:
            return {"Policy": text, "RevisionId": str(revision)}
    raise feature_errors.no_policy(arn)


def of_new_table(body: Body) -> Shown | None:
    """The policy in a CreateTable."""
    text = body.get("ResourcePolicy")
    return None if text is None else checked(text, stream=False)


def begin(tx: Transaction, table: str, given: Shown | None, now_ms: int) -> None:
    """Store the policy of a new table."""
    if given is not None:
        new = resource_policies.changed(None, given.text, given.versioned, now_ms, 0)
        resource_policies.put(tx, table, None, new)


def check_not_pending(snapshot: Snapshot, region: Region, table: str, now_ms: int) -> None:
    """Refuse the deletion of a table whose policy is being changed."""
    found = resource_policies.get(snapshot, table, None)
    if found is not None and now_ms < found.changed_ms + region.settings.control_plane_delay_ms:
        raise errors.deletion_while_pending(table)


def _target(region: Region, text: str) -> TableOrStream:
    return resource_arns.target(
        region, text, feature_errors.foreign_account, lambda: feature_errors.resource_elsewhere(text)
    )


def _check_exists(region: Region, snapshot: Snapshot, target: TableOrStream, *, changes: bool) -> None:
    now_ms = region.clock.now_ms()
    table, label = region.catalog.find(snapshot, target.table), target.stream
    if label is None and (table is None or table.gone_at(now_ms)):
        raise table_errors.table_not_found(target.table)
    if label is not None and resource_arns.find_stream(snapshot, target.table, label, now_ms) is None:
        raise feature_errors.stream_not_found(label, target.table)
    if changes and table is not None and table.status_at(now_ms) == "DELETING":
        raise table_errors.table_being_deleted(target.table)


def _check_revision(target: TableOrStream, old: ResourcePolicy | None, expected: str | None) -> None:
    there = old is not None and old.policy is not None
    if expected is None or (expected == NO_POLICY and not there):
        return
    what = f"table {target.table}" if target.stream is None else f"stream {target.stream}"
    if old is None or old.policy is None:
        raise errors.no_revision(expected, what)
    if expected != str(old.revision):
        raise errors.other_revision(expected, what, old.revision)


def _check_changeable(region: Region, target: TableOrStream, old: ResourcePolicy | None, now_ms: int) -> None:
    if old is None:
        return
    if now_ms < old.changed_ms + region.settings.control_plane_delay_ms:
        raise errors.update_pending(target.table)
    next_ms = old.changed_ms + limits.RESOURCE_POLICY_INTERVAL_MS
    if region.settings.quotas and now_ms < next_ms:
        raise errors.changed_recently(target.table, next_ms)


def _check_confirmed(body: Body) -> None:
    if body.get("ConfirmRemoveSelfResourceAccess") is not True:
        raise errors.locks_out()
