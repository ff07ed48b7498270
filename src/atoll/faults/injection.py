"""The rules of a node, and the path of a request through them.

A request that matches no rule runs normally; without rules, requests bypass this module. A matching request first waits
for all delays. Then the first rule that strikes with an error decides: the operation does not run, or, if the rule says
so, it runs and its answer is lost. Otherwise entries of a batch that shall stay unprocessed are removed from it, and
the operation runs, on an older state if a read shall be stale.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Any

from atoll.database import catalog
from atoll.database.region import Region
from atoll.errors import faults as fault_errors
from atoll.faults import effects
from atoll.faults.past import Past
from atoll.faults.requests import is_consistent, named, table_of, written
from atoll.faults.rule import DROPPED, LATENCY, STALE, UNPROCESSED, Rule, parse

Body = dict[str, Any]
Function = Callable[[Any, Body], Awaitable[Any]]

MOST_RULES = 1_000


class Faults:
    """The rules of a node. `shared`: several processes serve the clients, so there can be no rules."""

    def __init__(self, *, shared: bool = False) -> None:
        self.watchers: list[Callable[[bool], None]] = []
        """Called after each change with whether there are rules."""
        self._shared = shared
        self._rules: dict[str, Rule] = {}
        self._made = 0
        self._pasts: dict[Region, Past] = {}

    # Rules

    def all(self) -> list[Body]:
        return [rule.shown() for rule in self._rules.values()]

    def show(self, id_: str) -> Body:
        return self._known(id_).shown()

    def add(self, body: Body, operations: Sequence[str]) -> str:
        if self._shared:
            raise fault_errors.several_workers()
        if len(self._rules) >= MOST_RULES:
            raise fault_errors.too_many()
        rule = parse(body, str(self._made + 1), operations)
        self._made += 1
        self._rules[rule.id] = rule
        self._changed()
        return rule.id

    def remove(self, id_: object) -> None:
        del self._rules[self._known(id_).id]
        self._changed()

    def clear(self) -> None:
        self._rules.clear()
        self._changed()

    def saved(self) -> list[Rule]:
        """The rules, for `replace`."""
        return [replace(rule) for rule in self._rules.values()]

    def replace(self, rules: Sequence[Rule]) -> None:
        self._rules = {rule.id: replace(rule) for rule in rules}
        self._changed()

    def _known(self, id_: object) -> Rule:
        rule = self._rules.get(id_) if isinstance(id_, str) else None
        if rule is None:
            raise fault_errors.unknown_fault(id_)
        return rule

    def _changed(self) -> None:
        if not any(rule.fault == STALE for rule in self._rules.values()):
            for past in self._pasts.values():
                past.end()
            self._pasts.clear()
        for watcher in self.watchers:
            watcher(bool(self._rules))

    def watch(self, regions: Sequence[Region]) -> None:
        """Record the changes of these regions if a rule makes reads stale."""
        lags = [rule.delay_ms + rule.jitter_ms for rule in self._rules.values() if rule.fault == STALE]
        if lags:
            for region in regions:
                self._past(region).forget(region.clock.now_ms() - max(lags))

    def _past(self, region: Region) -> Past:
        known = self._pasts.get(region)
        if known is None:
            known = self._pasts[region] = Past(region)
        return known

    # Requests

    async def call(
        self, operation: str, function: Function, region: Region, body: Body, resources: Sequence[str]
    ) -> Any:
        """Run an operation on these resources, as the module describes."""
        self.watch([region])
        tables = {table_of(resource) for resource in resources}
        items = named(operation, body)
        if not tables <= region.catalog.known.tables.keys():
            region.catalog.learn(await region.engine.read(catalog.read_definitions))
        concerned = [rule for rule in self._rules.values() if self._concerns(rule, region, operation, body, tables)]
        rules = [rule for rule in concerned if rule.key is None or any(effects.matches(rule, one) for one in items)]
        for rule in rules:
            if rule.fault == LATENCY and self._strikes(rule, region, operation, tables):
                await asyncio.sleep(rule.duration_ms() / 1000)
        for rule in rules:
            if rule.fault in (LATENCY, UNPROCESSED, STALE) or not self._strikes(rule, region, operation, tables):
                continue
            if rule.applied:
                await function(region, body)
                region.meter.current = None
            if rule.fault == DROPPED:
                raise fault_errors.Dropped
            raise effects.error(rule, region, operation, body, self._table(rule, tables), items)
        left: Body = {}
        for rule in rules:
            if rule.fault == UNPROCESSED:
                body = self._taken_out(rule, region, operation, body, left)
            elif (
                rule.fault == STALE
                and not is_consistent(operation, body, _is_global(region))
                and self._strikes(rule, region, operation, tables)
            ):
                region = self._stale(rule, region, tables)
        return await function(region, body) if not left else await _run_rest(operation, function, region, body, left)

    @staticmethod
    def _concerns(rule: Rule, region: Region, operation: str, body: Body, tables: set[str]) -> bool:
        if not rule.concerns(region.name, operation) or (rule.table is not None and rule.table not in tables):
            return False
        if rule.index is None or body.get("IndexName") == rule.index:
            return True
        # A throttled index also throttles the writes of its table.
        writes = rule.reason is not None and rule.reason.startswith("IndexWrite")
        return writes and "IndexName" not in body

    @staticmethod
    def _table(rule: Rule, tables: set[str]) -> str:
        return rule.table or next(iter(sorted(tables)), "")

    def _strikes(self, rule: Rule, region: Region, operation: str, tables: set[str]) -> bool:
        if not rule.strikes():
            return False
        region.meter.tally(self._table(rule, tables), None, operation).injected += 1
        return True

    def _taken_out(self, rule: Rule, region: Region, operation: str, body: Body, left: Body) -> Body:
        """The batch without the entries that stay unprocessed; these are added to `left`."""
        kept: Body = {}
        for given, part in body["RequestItems"].items():
            table = table_of(given)
            entries = part["Keys"] if operation == "BatchGetItem" else part
            out = [self._stays(rule, region, operation, table, entry) for entry in entries]
            rest = [entry for entry, stays in zip(entries, out, strict=True) if not stays]
            gone = [entry for entry, stays in zip(entries, out, strict=True) if stays]
            if operation == "BatchGetItem":
                if gone:
                    left.setdefault(given, {**part, "Keys": []})["Keys"].extend(gone)
                if rest:
                    kept[given] = {**part, "Keys": rest}
            else:
                if gone:
                    left.setdefault(given, []).extend(gone)
                if rest:
                    kept[given] = rest
        return {**body, "RequestItems": kept}

    def _stays(self, rule: Rule, region: Region, operation: str, table: str, entry: Body) -> bool:
        item = entry if operation == "BatchGetItem" else written(entry)
        return effects.matches(rule, (table, item)) and self._strikes(rule, region, operation, {table})

    def _stale(self, rule: Rule, region: Region, tables: set[str]) -> Region:
        known = region.catalog.known.tables
        spaces = {space for name in tables if name in known for space in known[name].spaces}
        if rule.index is not None:
            spaces = {i.space for name in tables if name in known for i in known[name].indexes if i.name == rule.index}
        return self._past(region).view(spaces, region.clock.now_ms(), rule.duration_ms())


def _is_global(region: Region) -> Callable[[str, str], bool]:
    def is_global(table: str, index: str) -> bool:
        known = region.catalog.known.tables.get(table)
        found = None if known is None else known.index(index)
        return found is not None and not found.local

    return is_global


async def _run_rest(operation: str, function: Function, region: Region, body: Body, left: Body) -> Any:
    """Run a batch without the entries in `left`; its answer returns them as unprocessed."""
    member = "UnprocessedKeys" if operation == "BatchGetItem" else "UnprocessedItems"
    answer: Body = {"Responses": {}} if operation == "BatchGetItem" else {}
    if body["RequestItems"]:
        answer = await function(region, body)
    unprocessed = {**answer.get(member, {})}
    for given, part in left.items():
        if given not in unprocessed:
            unprocessed[given] = part
        elif operation == "BatchGetItem":
            unprocessed[given] = {**part, "Keys": unprocessed[given]["Keys"] + part["Keys"]}
        else:
            unprocessed[given] = unprocessed[given] + part
    return {**answer, member: unprocessed}
