"""Atoll and DynamoDB Local side by side: each step goes to both, and a difference nobody explained stops the run.

DynamoDB Local has the texts of before 2026, as Atoll in the classic style has. A second Atoll in the default style gets
each step, too; `wording.py` says how its texts follow from the first one's.
"""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

from benchmarks.client import Answer, Client
from tests.differential import definitions
from tests.differential.comparison import Difference, compare, compare_styles, pages
from tests.differential.shrinking import shrunk
from tests.differential.tables import TABLES, Step

PAGES = 200  # more than any scenario has items
SETTLE_SECONDS = 5.0
READS = {"GetItem", "Query", "Scan", "BatchGetItem", "TransactGetItems", "DescribeTable", "ListTables"}


class Unexplained(AssertionError):
    pass


class NotSettled(Unexplained):
    pass


class Pair:
    def __init__(self, atoll: int, oracle: int, *, current: int | None = None, survey: bool) -> None:
        """The ports of the servers; `current` is of an Atoll in the default style."""
        self._pair = Client(atoll), Client(oracle)
        self._current = None if current is None else Client(current)
        self._clients = self._pair if self._current is None else (*self._pair, self._current)
        self._survey = survey
        self.requests: Counter[str] = Counter()
        self._different: set[int] = set()
        self.succeeded: Counter[str] = Counter()
        self.explained: Counter[str] = Counter()
        self.findings: dict[str, list[Difference]] = {}
        for table in TABLES:
            for client in self._clients:
                answer = ask(client, Step("CreateTable", table.definition))
                assert answer.ok, answer

    def run(self, family: str, steps: list[Step]) -> None:
        """Send a scenario to both; raises for an unexplained difference, with the fewest requests that show it."""
        difference = self.first_finding(steps, family)
        if difference is None:
            return
        if self._survey:
            self.findings.setdefault(difference.kind, []).append(difference)
            return
        kind = difference.kind

        def shows_the_same(candidate: list[Step]) -> bool:
            found = self.first_finding(candidate)
            return found is not None and found.kind == kind

        until = steps.index(difference.step) + 1
        few = shrunk(steps[:until], shows_the_same)
        raise Unexplained(story(few, self.first_finding(few) or difference))

    def first_finding(self, steps: list[Step], family: str = "shrinking") -> Difference | None:
        for step in steps:
            atoll = ask(self._pair[0], step)
            self.requests[family] += 1
            if self._current is not None:
                style = compare_styles(step, ask(self._current, step), atoll)
                if style is not None:
                    self.clear()
                    return style
            try:
                oracle = ask(self._pair[1], step)
            except NotSettled as stuck:
                if "'IndexStatus': 'DELETING'" not in str(stuck):
                    raise
                self.explained["DynamoDB Local now and then does not end the deletion of an index"] += 1
                self.clear()
                return None
            self._different.add(hash((step.operation, repr(step.body))))
            self.succeeded[family] += oracle.ok
            if atoll.ok and oracle.ok:
                self._delete_bare_keys(step)
            if step.operation == "BatchExecuteStatement" and not oracle.ok:
                self.clear()  # DynamoDB Local has carried out the statements before the one it refused the batch for
            difference = compare(step, atoll, oracle)
            if difference is None:
                continue
            if step.operation not in READS and (difference.diverged or atoll.ok):
                self.clear()
            elif difference.explanation is not None:
                self.explained[difference.explanation.reason] += 1
                continue
            if difference.explanation is None:
                return difference
            self.explained[difference.explanation.reason] += 1
            return None
        return None

    def _delete_bare_keys(self, step: Step) -> None:
        """An update that only removes makes no item where there is none; DynamoDB Local makes one of the key alone."""
        atoll, oracle = self._pair
        for action in removals(step):
            request = {"TableName": action["TableName"], "Key": action["Key"], "ConsistentRead": True}
            ours, theirs = (client.call("GetItem", request).body for client in (atoll, oracle))
            if "Item" not in ours and len(theirs.get("Item", {})) == len(action["Key"]):
                oracle.call("DeleteItem", {"TableName": action["TableName"], "Key": action["Key"]})

    def clear(self) -> None:
        """Make the two stores equal again, after a write that only one of them did."""
        for client in self._clients:
            ask(client, Step("DeleteTable", {"TableName": definitions.NAME}))
            for table in TABLES:
                for item in client.call("Scan", {"TableName": table.name}).body["Items"]:
                    client.call("DeleteItem", {"TableName": table.name, "Key": {n: item[n] for n in table.key_names}})

    def summary(self) -> str:
        total, good = sum(self.requests.values()), sum(self.succeeded.values())
        lines = [
            f"{total:,} requests compared, {len(self._different):,} of them different, "
            f"{100 * good // max(total, 1)} % successful"
        ]
        for family, count in self.requests.items():
            lines.append(f"  {family:14} {count:6,} requests, {100 * self.succeeded[family] // count:3} % successful")
        lines += [f"  explained {count:6,}: {reason}" for reason, count in self.explained.most_common()]
        for _, found in sorted(self.findings.items(), key=lambda pair: -len(pair[1])):
            lines += ["", f"{len(found)} times, for example:", str(min(found, key=lambda one: len(str(one))))]
        return "\n".join(lines)

    def close(self) -> None:
        for client in self._clients:
            client.close()


def removals(step: Step) -> list[dict[str, Any]]:
    """The updates in a request that neither set nor add anything."""
    if step.operation == "UpdateItem":
        updates = [step.body]
    elif step.operation == "TransactWriteItems":
        updates = [item["Update"] for item in step.body["TransactItems"] if item.get("Update")]
    else:
        return []
    return [
        update
        for update in updates
        if not re.search(r"\b(SET|ADD)\b", update.get("UpdateExpression") or "SET", re.IGNORECASE)
        or {change.get("Action") for change in (update.get("AttributeUpdates") or {}).values()} == {"DELETE"}
    ]


def story(steps: list[Step], difference: Difference) -> str:
    told = [f"  {step.operation} {step.body}" for step in steps[:-1]]
    return "\n".join(["an unexplained difference", *told, str(difference)])


def ask(client: Client, step: Step) -> Answer:
    if not step.walk:
        answer = client.call(step.operation, step.body)
        if answer.ok and step.operation in ("CreateTable", "UpdateTable", "DeleteTable"):
            settle(client, step.body["TableName"])
        return answer
    if "TotalSegments" not in step.body or step.body["TotalSegments"] < 1 or "Segment" not in step.body:
        return pages(walk(client, step.operation, step.body))
    segments = range(min(step.body["TotalSegments"], 10)) if step.body["Segment"] == 0 else [step.body["Segment"]]
    return pages(answer for at in segments for answer in walk(client, step.operation, step.body | {"Segment": at}))


def walk(client: Client, operation: str, body: dict[str, Any]) -> Iterator[Answer]:
    for _ in range(PAGES):
        answer = client.call(operation, body)
        yield answer
        if "LastEvaluatedKey" in answer.body:
            body = body | {"ExclusiveStartKey": answer.body["LastEvaluatedKey"]}
        elif "NextToken" in answer.body:
            body = body | {"NextToken": answer.body["NextToken"]}
        else:
            return
    raise Unexplained(f"{operation} {body} has no last page")


def settle(client: Client, table: str) -> None:
    """Wait until a table is active with all its indexes, or gone."""
    end = time.monotonic() + SETTLE_SECONDS
    while not settled(client.call("DescribeTable", {"TableName": table})):
        if time.monotonic() > end:
            raise NotSettled(f"{table} did not become active: {client.call('DescribeTable', {'TableName': table})}")
        time.sleep(0.002)


def settled(answer: Answer) -> bool:
    if not answer.ok:
        return answer.code == "ResourceNotFoundException"
    table = answer.body["Table"]
    return table["TableStatus"] == "ACTIVE" and all(
        index["IndexStatus"] == "ACTIVE" for index in table.get("GlobalSecondaryIndexes", [])
    )
