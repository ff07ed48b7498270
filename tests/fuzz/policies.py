"""`make fuzz-policies`: odd policies, STS requests and session tokens, sent to a server in this process that evaluates
policies. None may end with status 500, take long or make the process grow.

`REQUESTS` is their number, `SEED` chooses them. The time of a request is the CPU time of this thread, which other
programs do not change.
"""

from __future__ import annotations

import asyncio
import logging
import os
import random
import resource
import sys
import time
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlencode

import orjson

from atoll.clock import SystemClock
from atoll.config import Config
from atoll.node import Node
from atoll.security.credentials import Credential
from atoll.security.policies.conditions import NAMES
from atoll.security.signing import sign
from atoll.wire.codec import Request

STALL_MS = 50
GROWTH_KB = 128 * 1024
ACCOUNT = "000000000000"
TABLE = f"arn:aws:dynamodb:us-east-1:{ACCOUNT}:table/Things"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/ops"
ROOT = {"access_keys": {"AKIAALL": "s"}, "policies": ["AdministratorAccess"]}
TRUST = {"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Principal": {"AWS": ACCOUNT},
                                                "Action": ["sts:AssumeRole", "sts:TagSession"]}}  # fmt: skip
DECLARED = {"users": {"root": ROOT}, "roles": {"ops": {"trust": TRUST, "policies": ["AmazonDynamoDBFullAccess"]}}}
KEY = Credential("AKIAALL", "s")

TEXTS = ["*", "?", "", "a", "${aws:username}", "${", "${x, 'y'}", "${*}", "*a" * 200, "\0", "é\U0001f600", "true", "0",
         "1e9", "10.0.0.0/8", "::/0", "2026-01-01", TABLE, TABLE + "/*", ROLE, ACCOUNT, "arn:aws:iam::*:user/*",
         "dynamodb:*", "dynamodb:GetItem", "dynamodb:PutResourcePolicy", "sts:AssumeRole", "AWS",
         "x" * 2000]  # fmt: skip
KEYS = ["aws:username", "aws:PrincipalArn", "aws:SourceIp", "aws:CurrentTime", "dynamodb:LeadingKeys", "aws:TagKeys",
        "dynamodb:Attributes", "aws:PrincipalTag/a", "aws:ResourceTag/b", "", "x"]  # fmt: skip
OPERATORS = [*NAMES, "Null", "Nothing"]


def text(rng: random.Random) -> str:
    return rng.choice(TEXTS)


def texts(rng: random.Random) -> Any:
    return text(rng) if rng.random() < 0.5 else [text(rng) for _ in range(rng.randrange(5))]


def junk(rng: random.Random, depth: int = 0) -> Any:
    kind = rng.randrange(7 if depth < 4 else 5)
    if kind == 5:
        return [junk(rng, depth + 1) for _ in range(rng.randrange(4))]
    if kind == 6:
        return {text(rng): junk(rng, depth + 1) for _ in range(rng.randrange(4))}
    return (text(rng), rng.choice([0, -1, 1.5, 10**18]), True, None, text(rng))[kind]


def condition(rng: random.Random) -> Any:
    def operator() -> str:
        sets = rng.choice(["", "", "ForAllValues:", "ForAnyValue:"])
        return sets + rng.choice(OPERATORS) + rng.choice(["", "", "IfExists"])

    return {
        operator(): {rng.choice(KEYS): texts(rng) for _ in range(rng.randrange(3))} for _ in range(rng.randrange(3))
    }


def statement(rng: random.Random, *, principal: bool) -> Any:
    if rng.random() < 0.05:
        return junk(rng)
    row: dict[str, Any] = {"Effect": rng.choice(["Allow", "Deny", "allow", text(rng)])}
    row[rng.choice(["Action", "NotAction"])] = rng.choice(["*", "dynamodb:*", ["dynamodb:GetItem"], texts(rng)])
    row[rng.choice(["Resource", "NotResource"])] = rng.choice(["*", TABLE, texts(rng)])
    if principal:
        row[rng.choice(["Principal", "NotPrincipal"])] = rng.choice(
            ["*", {"AWS": texts(rng)}, {"AWS": ACCOUNT}, junk(rng)]
        )
    if rng.random() < 0.6:
        row["Condition"] = condition(rng)
    if rng.random() < 0.2:
        row["Sid"] = text(rng)
    if rng.random() < 0.1:
        row[text(rng)] = junk(rng)
    return row


def policy(rng: random.Random, *, principal: bool) -> str:
    document: Any = {"Version": rng.choice(["2012-10-17", "2012-10-17", "2008-10-17", text(rng)])}
    document["Statement"] = [statement(rng, principal=principal) for _ in range(rng.randrange(1, 4))]
    if rng.random() < 0.05:
        document = junk(rng)
    given = orjson.dumps(document)
    if rng.random() < 0.2:
        given = mutated(rng, given)
    if rng.random() < 0.01:
        given = b"[" * rng.randrange(5_000)
    return given.decode("utf-8", "replace")


def mutated(rng: random.Random, given: bytes) -> bytes:
    changed = bytearray(given)
    for _ in range(rng.randrange(1, 4)):
        if changed:
            changed[rng.randrange(len(changed))] = rng.randrange(256)
    return bytes(changed)


@dataclass
class Report:
    requests: int = 0
    statuses: dict[int, int] = field(default_factory=dict)
    slowest_ms: float = 0.0
    faults: list[str] = field(default_factory=list)
    growth_kb: int = 0

    @property
    def is_clean(self) -> bool:
        return not self.faults and self.growth_kb < GROWTH_KB

    def __str__(self) -> str:
        lines = [f"{self.requests} requests: {dict(sorted(self.statuses.items()))}",
                 f"slowest {self.slowest_ms:.1f} ms, grown by {self.growth_kb} KB", *self.faults[:20]]  # fmt: skip
        return "\n".join(lines)


class Fuzz:
    def __init__(self, node: Node, seed: int) -> None:
        self.node = node
        self.rng = random.Random(seed)
        self.report = Report()
        self.clock = SystemClock()
        self.sessions: list[Credential] = []

    async def send(self, service: str, body: bytes, headers: dict[str, str], key: Credential | None) -> bytes:
        assert self.node.server is not None
        headers = {"host": "127.0.0.1", **headers}
        if key is not None:
            headers = sign(key, path="/", query="", headers=headers, body=body, region="us-east-1", service=service,
                           now_ms=self.clock.now_ms())  # fmt: skip
        raw = {name.encode(): value.encode("latin-1", "replace") for name, value in headers.items()}
        started = time.thread_time()
        answer: bytes = await self.node.server.answer(Request(b"POST", b"/", b"", raw, body))
        took_ms = (time.thread_time() - started) * 1000
        status = int(answer[9:12])
        report = self.report
        report.requests += 1
        report.statuses[status] = report.statuses.get(status, 0) + 1
        report.slowest_ms = max(report.slowest_ms, took_ms)
        if status >= 500:
            report.faults.append(f"{status}: {body[:500]!r}")
        if took_ms > STALL_MS:
            report.faults.append(f"{took_ms:.0f} ms: {body[:500]!r}")
        return answer.partition(b"\r\n\r\n")[2]

    async def call(self, operation: str, body: dict[str, Any], key: Credential = KEY) -> bytes:
        headers = {"x-amz-target": f"DynamoDB_20120810.{operation}", "content-type": "application/x-amz-json-1.0"}
        return await self.send("dynamodb", orjson.dumps(body), headers, key)

    async def resource_policy(self) -> None:
        rng = self.rng
        given = policy(rng, principal=True)
        await self.call("PutResourcePolicy", {"ResourceArn": TABLE, "Policy": given,
                                              "ConfirmRemoveSelfResourceAccess": rng.random() < 0.1})  # fmt: skip
        await self.call(rng.choice(["GetItem", "Scan", "GetResourcePolicy"]), self._request(), self._key())
        if rng.random() < 0.2:
            await self.call("DeleteResourcePolicy", {"ResourceArn": TABLE})

    def _request(self) -> dict[str, Any]:
        return {"TableName": "Things", "Key": {"pk": {"S": text(self.rng) or "a"}}, "ResourceArn": TABLE}

    def _key(self) -> Credential:
        return self.rng.choice([KEY, *self.sessions[-20:]])

    async def sts(self) -> None:
        rng = self.rng
        actions = ["AssumeRole", "GetSessionToken", "GetCallerIdentity", "AssumeRoleWithWebIdentity"]
        form = {"Action": rng.choice(actions),
                "Version": "2011-06-15", "RoleArn": rng.choice([ROLE, text(rng)]),
                "RoleSessionName": rng.choice(["s1", "session", text(rng)])}  # fmt: skip
        for member, values in (
            ("Policy", [policy(rng, principal=False)]), ("DurationSeconds", ["900", "3600", "x", "-1", "9" * 30]),
            ("ExternalId", TEXTS), ("Tags.member.1.Key", TEXTS), ("Tags.member.1.Value", TEXTS),
            ("TransitiveTagKeys.member.1", TEXTS), ("PolicyArns.member.1.arn", TEXTS), ("SourceIdentity", TEXTS),
            ("WebIdentityToken", ["a.b.c", "eyJhbGciOiJub25lIn0.e30.", *TEXTS]), (text(rng), TEXTS),
        ):  # fmt: skip
            if rng.random() < 0.3:
                form[member] = rng.choice(values)
        body = urlencode(form, quote_via=quote, errors="replace").encode()
        if rng.random() < 0.2:
            body = mutated(rng, body)
        key = None if rng.random() < 0.1 else self._key()
        answer = await self.send("sts", body, {"content-type": "application/x-www-form-urlencoded"}, key)
        self._remember(answer)

    def _remember(self, answer: bytes) -> None:
        parts = [answer.partition(b"<%s>" % name)[2].partition(b"</")[0].decode()
                 for name in (b"AccessKeyId", b"SecretAccessKey", b"SessionToken")]  # fmt: skip
        if all(parts):
            if self.rng.random() < 0.2:  # a token that was changed on its way
                parts[2] = mutated(self.rng, parts[2].encode()).decode("latin-1").replace("\n", "").replace("\r", "")
            self.sessions.append(Credential(parts[0], parts[1], parts[2]))
            del self.sessions[:-20]

    async def explain(self) -> None:
        body: Any = {"principal": self.rng.choice(["root", ROLE, text(self.rng)]), "action": text(self.rng),
                     "resource": text(self.rng), "context": {text(self.rng): junk(self.rng)}}  # fmt: skip
        assert self.node.server is not None
        raw = {b"host": b"127.0.0.1", b"authorization": b"Bearer t"}
        answer = await self.node.server.answer(
            Request(b"POST", b"/_atoll/policies/explain", b"", raw, orjson.dumps(body))
        )
        self.report.requests += 1
        status = int(answer[9:12])
        self.report.statuses[status] = self.report.statuses.get(status, 0) + 1
        if status >= 500:
            self.report.faults.append(f"{status}: {orjson.dumps(body)[:500]!r}")


async def fuzz(requests: int, seed: int) -> Report:
    node = Node(Config(port=0, data=None, auth="iam", declared=DECLARED, admin_token="t"))
    await node.start()
    run = Fuzz(node, seed)
    table = {"TableName": "Things", "BillingMode": "PAY_PER_REQUEST",
             "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
             "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}]}  # fmt: skip
    await run.call("CreateTable", table)
    warm = min(requests // 10, 20_000)
    before = 0
    while run.report.requests < requests:
        await run.rng.choices([run.resource_policy, run.sts, run.explain], [3, 4, 1])[0]()
        if not before and run.report.requests > warm:
            before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    run.report.growth_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    await node.stop()
    return run.report


def main() -> int:
    logging.disable()
    report = asyncio.run(fuzz(int(os.environ.get("REQUESTS", "20000")), int(os.environ.get("SEED", "0"))))
    print(report)
    return 0 if report.is_clean else 1


if __name__ == "__main__":
    sys.exit(main())
