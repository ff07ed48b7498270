"""Two answers to one request: the same, different for a known reason, or a finding."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from benchmarks.client import Answer
from tests.differential import wording
from tests.differential.explained import EXPLAINED, INCLUSIVE, Explained
from tests.differential.tables import Step

# Members that may differ from server to server: identity, time, size estimates, capacity.
INCIDENTAL = {
    "Backfilling",
    "ConsumedCapacity",
    "CreationDateTime",
    "IndexArn",
    "IndexSizeBytes",
    "IndexStatus",
    "ItemCollectionMetrics",
    "ItemCount",
    "LastDecreaseDateTime",
    "LastIncreaseDateTime",
    "LastUpdateToPayPerRequestDateTime",
    "LatestStreamArn",
    "LatestStreamLabel",
    "NumberOfDecreasesToday",
    "TableArn",
    "TableId",
    "TableSizeBytes",
    "TableStatus",
    "WarmThroughput",
}
# Members that make a request read a part only.
PARTIAL = {"ExclusiveStartKey", "Limit", "TotalSegments"}
# Lists without an order of their own.
UNORDERED = {"AttributeDefinitions", "LocalSecondaryIndexes", "GlobalSecondaryIndexes", "NonKeyAttributes"}


@dataclass(frozen=True)
class Difference:
    step: Step
    atoll: Answer
    oracle: Answer
    explanation: Explained | None
    names: tuple[str, str] = ("atoll", "oracle")
    """Of the two answers."""

    @property
    def diverged(self) -> bool:
        """One did it, the other did not: from here on the two stores differ."""
        return self.atoll.ok != self.oracle.ok

    @property
    def kind(self) -> str:
        """The same for differences of probably one cause."""
        return (
            f"{self.step.operation}\n  {self.names[0]:8}{_masked(outcome(self.atoll))}"
            f"\n  {self.names[1]:8}{_masked(outcome(self.oracle))}"
        )

    def __str__(self) -> str:
        request = (
            self.step.body.decode(errors="replace") if isinstance(self.step.body, bytes) else _json(self.step.body)
        )
        if self.atoll.ok and self.oracle.ok:
            ours, theirs = comparable(self.atoll, self.step), comparable(canonical(self.oracle), self.step)
            lines = [f"{self.step.operation} {request}", *parts_that_differ(ours, theirs)]
            return "\n".join(lines)
        lines = [
            f"{self.step.operation} {request}",
            f"  {self.names[0]:8}{outcome(self.atoll)}",
            f"  {self.names[1]:8}{outcome(self.oracle)}",
        ]
        if outcome(self.atoll) == outcome(self.oracle):
            lines += parts_that_differ(details(self.atoll), details(canonical(self.oracle)))
        return "\n".join(lines)


def compare(step: Step, atoll: Answer, oracle: Answer) -> Difference | None:
    if same(step, atoll, oracle):
        return None
    if step.operation == "BatchExecuteStatement" and atoll.ok and oracle.ok:
        return Difference(step, atoll, oracle, explained_in_batch(step, atoll, oracle))
    return Difference(step, atoll, oracle, explanation_of(step, atoll, oracle))


def compare_styles(step: Step, current: Answer, classic: Answer) -> Difference | None:
    """The answers of the two error styles: but for their texts they are the same."""
    if current.ok and classic.ok:
        if comparable(current, step) == comparable(classic, step):
            return None
    elif (
        current.status == classic.status
        and details(current) == details(classic)
        and wording.explanation(step.operation, outcome(classic), outcome(current)) is not None
    ):
        return None
    return Difference(step, current, classic, None, ("2026", "classic"))


def explanation_of(step: Step, atoll: Answer, oracle: Answer) -> Explained | None:
    outcomes = outcome(atoll), outcome(oracle)
    for known in EXPLAINED:
        if not known.covers(step.operation, step.body, *outcomes):
            continue
        if not (atoll.ok and oracle.ok):
            return known
        if known.agree is not None and known.agree(
            step.body, comparable(atoll, step), comparable(canonical(oracle), step)
        ):
            return known
    return None


def explained_in_batch(step: Step, atoll: Answer, oracle: Answer) -> Explained | None:
    """A reason for each statement that was answered differently, as if it had come alone; returns the last one."""
    explanation = None
    responses = (normalised(answer.body["Responses"]) for answer in (atoll, canonical(oracle)))
    for statement, ours, theirs in zip(step.body["Statements"], *responses, strict=True):
        if ours != theirs:
            explanation = explanation_of(Step("ExecuteStatement", statement), alone(ours), alone(theirs))
            if explanation is None:
                return None
    return explanation


def alone(response: dict[str, Any]) -> Answer:
    """The answer that ExecuteStatement would have given."""
    if "Error" not in response:
        return Answer(200, {"Items": [response["Item"]] if "Item" in response else []})
    code = response["Error"]["Code"]
    exception = {"ValidationError": "ValidationException"}.get(code, f"{code}Exception")
    return Answer(400, {"__type": exception, "message": response["Error"]["Message"]})


def same(step: Step, atoll: Answer, oracle: Answer) -> bool:
    if atoll.ok and oracle.ok:
        ours, theirs = comparable(atoll, step), comparable(canonical(oracle), step)
        if step.within:
            ours, theirs = groups(ours, step.within), groups(theirs, step.within)
        if step.ties:
            return bool(ties_apart(ours, step.ties) == ties_apart(theirs, step.ties))
        return bool(ours == theirs) or ends_at_bound(step, ours, theirs)
    return (
        atoll.status == oracle.status
        and outcome(atoll) == outcome(oracle)
        and details(atoll) == details(canonical(oracle))
    )


def parts_that_differ(ours: Any, theirs: Any, at: str = "") -> list[str]:
    """One line for each smallest part of two JSON values that is not the same."""
    if ours == theirs:
        return []
    if isinstance(ours, dict) and isinstance(theirs, dict) and ours.keys() & theirs.keys():
        names = sorted(ours.keys() | theirs.keys())
        return [line for name in names for line in parts_that_differ(ours.get(name), theirs.get(name), f"{at}.{name}")]
    if isinstance(ours, list) and isinstance(theirs, list) and len(ours) == len(theirs):
        pairs = enumerate(zip(ours, theirs, strict=True))
        return [line for index, pair in pairs for line in parts_that_differ(*pair, f"{at}[{index}]")]
    return [f"  atoll  {at} {_json(ours)}", f"  oracle {at} {_json(theirs)}"]


def ends_at_bound(step: Step, ours: Any, theirs: Any) -> bool:
    """DynamoDB Local knows that nothing can follow an item at the end of an inclusive range; this is not required."""
    if step.operation != "Query" or "LastEvaluatedKey" in theirs or not re.search(INCLUSIVE, _json(step.body)):
        return False
    return bool({name: content for name, content in ours.items() if name != "LastEvaluatedKey"} == theirs)


def outcome(answer: Answer) -> str:
    if answer.ok:
        return "success"
    return f"{answer.status} {answer.code}: {answer.message}"


def details(answer: Answer) -> Any:
    """The members of errors besides their message. (Why a member of a transaction is not valid has many texts.)"""
    reasons = [
        {name: content for name, content in reason.items() if name != "Message" or reason["Code"] != "ValidationError"}
        for reason in answer.body.get("CancellationReasons", [])
    ]
    return normalised({"Item": answer.body.get("Item"), "CancellationReasons": reasons})


def comparable(answer: Answer, step: Step) -> Any:
    body = normalised(answer.body)
    if is_part(step):
        return {}  # which items it has is each server's own affair
    if step.operation == "TransactGetItems":  # of an item that has nothing to show the service shows nothing
        body["Responses"] = [response if response.get("Item") else {} for response in body["Responses"]]
    if step.unordered:
        if isinstance(body.get("Items"), list):
            body["Items"] = sorted(body["Items"], key=_json)
        for table, found in body.get("Responses", {}).items() if isinstance(body.get("Responses"), dict) else ():
            body["Responses"][table] = sorted(found, key=_json)
    return body


def is_part(step: Step) -> bool:
    """One segment of a Scan, or one page of what has no order that all agree on."""
    if step.operation not in ("Scan", "Query") or not isinstance(step.body, dict):
        return False
    if step.operation == "Scan" and step.body.get("Segment"):
        return True
    ordered = step.operation == "Query" and ("IndexName" not in step.body or not step.unordered)
    return not step.walk and not ordered and not PARTIAL.isdisjoint(step.body)


def canonical(oracle: Answer) -> Answer:
    """DynamoDB Local's answer as the service would write it."""
    return Answer(oracle.status, _canonical(oracle.body))


def _canonical(value: Any) -> Any:
    """Numbers as plain decimals: DynamoDB Local keeps the client's spelling."""
    if isinstance(value, list):
        return [_canonical(element) for element in value]
    if not isinstance(value, dict):
        # Its reasons of cancelled transactions end in a full stop.
        return "The conditional request failed" if value == "The conditional request failed." else value
    if len(value) == 1:
        ((name, content),) = value.items()
        if name == "N":
            return {name: _plain(content)}
        if name == "NS":
            return {name: [_plain(number) for number in content]}
    return {name: _canonical(content) for name, content in value.items()}


def _plain(number: str) -> str:
    found = format(Decimal(number), "f")
    found = found.rstrip("0").rstrip(".") if "." in found else found
    return "0" if found == "-0" else found


def ties_apart(body: Any, attribute: str) -> Any:
    """Items in the order of one attribute, and within equal values of it in any order."""
    items = body.get("Items", [])
    order = [item.get(attribute) for item in items]
    return body | {"Items": sorted(items, key=_json), "order": order}


def groups(body: Any, attribute: str) -> Any:
    """Items with equal values of the attribute together, each group in its order."""
    return body | {"Items": sorted(body.get("Items", []), key=lambda item: _json(item.get(attribute)))}


def normalised(value: Any) -> Any:
    if isinstance(value, list):
        return [normalised(element) for element in value]
    if not isinstance(value, dict):
        return value
    if len(value) == 1:
        ((name, content),) = value.items()
        if name in ("SS", "BS") and isinstance(content, list):
            return {name: sorted(content)}
        if name == "NS" and isinstance(content, list):
            return {name: sorted(content, key=Decimal)}
    return {
        name: sorted(normalised(content), key=_json) if name in UNORDERED else normalised(content)
        for name, content in value.items()
        if name not in INCIDENTAL
        and not (name == "ProvisionedThroughput" and on_demand(content))
        and not (name == "OnDemandThroughput" and unlimited(content))
    }


def on_demand(throughput: Any) -> bool:
    """An index of an on-demand table has a throughput of zero; DynamoDB Local leaves it out."""
    return isinstance(throughput, dict) and not any(
        throughput.get(f"{what}CapacityUnits") for what in ("Read", "Write")
    )


def unlimited(maxima: Any) -> bool:
    """DynamoDB Local tells the maxima that an index does not have."""
    return isinstance(maxima, dict) and all(maximum == -1 for maximum in maxima.values())


def pages(answers: Iterable[Answer]) -> Answer:
    """All pages of a read as one answer; the first error wins."""
    whole: dict[str, Any] = {}
    for answer in answers:
        if not answer.ok:
            return answer
        for name, content in answer.body.items():
            if name == "Items":
                whole.setdefault("Items", []).extend(content)
            elif name in ("Count", "ScannedCount"):
                whole[name] = whole.get(name, 0) + content
    return Answer(200, whole)


def _json(value: Any) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=False)


def _masked(text: str) -> str:
    """Without the operands of one example."""
    text = re.sub(r"'[^']*'|\"[^\"]*\"|\[[^\]]*\]|\{[^}]*\}", "…", text)
    return re.sub(r":v\d+|#\w+|\b\d+\b(?! \w+Exception)", "…", text)[:300]
