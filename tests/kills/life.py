"""One data directory whose server is killed while it copies tables, and a model of what must be there afterwards.

A round begins a backup, restores, an export and an import, and goes on writing until the server is killed; `atoll
backup`, `atoll restore` and `atoll store compact` are killed, too. After the next start everything that was answered
must end by itself, with the items of the moment of its request. A table that is ACTIVE must have all of them at once.
"""

from __future__ import annotations

import gzip
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from benchmarks import servers
from benchmarks.client import Answer, Client

ITEMS = 2_000
IMPORTED = 2_000
PATIENCE_S = 120
TABLE, BUCKET = "Things", "files"
OPTIONS = ("--quotas", "off", "--throttling", "off")
KEYS = {
    "AttributeDefinitions": [{"AttributeName": name, "AttributeType": "S"} for name in ("pk", "g")],
    "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
    "GlobalSecondaryIndexes": [
        {
            "IndexName": "by-g",
            "KeySchema": [{"AttributeName": "g", "KeyType": "HASH"}],
            "Projection": {"ProjectionType": "ALL"},
        }
    ],
    "BillingMode": "PAY_PER_REQUEST",
}
RECOVERY = {"TableName": TABLE, "PointInTimeRecoverySpecification": {"PointInTimeRecoveryEnabled": True}}

Content = dict[str, int]
"""The items of a table: their numbers by their keys."""


def expect(answer: Answer) -> Any:
    assert answer.ok, answer
    return answer.body


def item(key: str, number: int) -> Any:
    return {"pk": {"S": key}, "g": {"S": f"group {number % 5}"}, "n": {"N": str(number)}, "v": {"S": "v" * 500}}


def differences(found: Content, expected: Content) -> dict[str, tuple[int | None, int | None]]:
    keys = [key for key in found.keys() | expected.keys() if found.get(key) != expected.get(key)]
    return {key: (found.get(key), expected.get(key)) for key in keys}


class Life:
    def __init__(self, directory: Path, seed: int) -> None:
        self.chance = random.Random(seed)
        self.data = directory / "data"
        self.file = directory / "all.backup"
        self.restored = directory / "restored"
        self.items: Content = {}
        """Of the table that is copied."""
        self.tables: dict[str, Content] = {}
        self.backups: dict[str, Content] = {}
        self.exports: dict[str, Content] = {}
        self.imports: list[str] = []
        self.round = 0
        self.interrupted = 0
        """What was still under way at the start after a kill."""
        with servers.atoll(self.data, *OPTIONS) as server, Client(server.port) as client:
            expect(client.call("CreateTable", {"TableName": TABLE, **KEYS}))
            expect(client.call("UpdateContinuousBackups", RECOVERY))
            for start in range(0, ITEMS, 25):
                new = {f"item {number}": number for number in range(start, start + 25)}
                puts = [{"PutRequest": {"Item": item(*one)}} for one in new.items()]
                expect(client.call("BatchWriteItem", {"RequestItems": {TABLE: puts}}))
                self.items |= new
            first = expect(client.call("CreateBackup", {"TableName": TABLE, "BackupName": "first"}))["BackupDetails"]
            self.backups[first["BackupArn"]] = dict(self.items)
            self._wait(client)
        path = self.data / "s3" / BUCKET / "in" / "items.json"
        path.parent.mkdir(parents=True)
        self.imported = {f"imported {number}": number for number in range(IMPORTED)}
        path.write_text("".join(json.dumps({"Item": item(*one)}) + "\n" for one in self.imported.items()))

    def _put(self, client: Client, key: str, number: int) -> None:
        expect(client.call("PutItem", {"TableName": TABLE, "Item": item(key, number)}))
        self.items[key] = number

    def _write(self, client: Client, count: int) -> None:
        for _ in range(count):
            number = self.chance.randrange(1 << 30)
            self._put(client, f"item {number % (2 * ITEMS)}", number)

    def play(self) -> None:
        """A round."""
        self.round += 1
        writing = self._atoll("backup", "--data", self.data, "--to", self.file)
        with servers.atoll(self.data, *OPTIONS) as server:
            with Client(server.port) as client:
                self._begin(client)
                self._write(client, self.chance.randrange(30))
            server.kill()
        self._kill(writing, 0)
        self._kill(self._atoll("store", "compact", "--data", self.data), self.chance.uniform(0, 1.5))
        if self.chance.random() < 0.5:
            with servers.atoll(self.data, *OPTIONS) as server:
                server.kill()
        with servers.atoll(self.data, *OPTIONS) as server, Client(server.port) as client:
            self.interrupted += len(self._under_way(client)) + len(self._creating(client))
            self._wait(client)
            self._verify(client)
        self._back_up_and_restore()

    def _begin(self, client: Client) -> None:
        begin = [self._begin_backup, self._restore_backup, self._restore_moment, self._begin_export, self._begin_import]
        self.chance.shuffle(begin)
        for one in begin:
            one(client)
            self._write(client, self.chance.randrange(5))

    def _begin_backup(self, client: Client) -> None:
        answer = expect(client.call("CreateBackup", {"TableName": TABLE, "BackupName": f"round-{self.round}"}))
        self.backups[answer["BackupDetails"]["BackupArn"]] = dict(self.items)

    def _restore_backup(self, client: Client) -> None:
        available = [arn for arn in self.backups if self._status(client, arn) == "AVAILABLE"]
        backup, name = self.chance.choice(available), f"FromBackup-{self.round}"
        self.tables[name] = self.backups[backup]
        expect(client.call("RestoreTableFromBackup", {"TargetTableName": name, "BackupArn": backup}))

    def _restore_moment(self, client: Client) -> None:
        name = f"FromMoment-{self.round}"
        names = {"SourceTableName": TABLE, "TargetTableName": name, "UseLatestRestorableTime": True}
        self.tables[name] = dict(self.items)
        expect(client.call("RestoreTableToPointInTime", names))

    def _begin_export(self, client: Client) -> None:
        arn = expect(client.call("DescribeTable", {"TableName": TABLE}))["Table"]["TableArn"]
        begun = expect(client.call("ExportTableToPointInTime", {"TableArn": arn, "S3Bucket": BUCKET}))
        self.exports[begun["ExportDescription"]["ExportArn"]] = dict(self.items)
        ended = time.time() + 0.002
        while time.time() < ended:  # an export has the writes of its whole millisecond
            pass

    def _begin_import(self, client: Client) -> None:
        name = f"Imported-{self.round}"
        self.tables[name] = self.imported
        source = {"S3Bucket": BUCKET, "S3KeyPrefix": "in/"}
        keys = {"TableName": name, **KEYS}
        body = {"S3BucketSource": source, "InputFormat": "DYNAMODB_JSON", "TableCreationParameters": keys}
        begun = expect(client.call("ImportTable", body))
        self.imports.append(begun["ImportTableDescription"]["ImportArn"])

    # After the next start

    def _status(self, client: Client, backup: str) -> str:
        found = expect(client.call("DescribeBackup", {"BackupArn": backup}))["BackupDescription"]
        status: str = found["BackupDetails"]["BackupStatus"]
        return status

    def _creating(self, client: Client) -> list[str]:
        """The tables that are not ACTIVE. An import makes its table with its first step."""
        answers = {name: client.call("DescribeTable", {"TableName": name}) for name in self.tables}
        return [name for name, one in answers.items() if not one.ok or one.body["Table"]["TableStatus"] != "ACTIVE"]

    def _wait(self, client: Client) -> None:
        """Until nothing is under way. A table must be whole when it is ACTIVE for the first time."""
        waiting, began = set(self.tables), time.monotonic()
        while waiting or self._under_way(client):
            assert time.monotonic() - began < PATIENCE_S, (waiting, self._under_way(client))
            for name in waiting - {*self._creating(client)}:
                assert differences(self._scan(client, name), self.tables[name]) == {}, name
                waiting.discard(name)

    def _under_way(self, client: Client) -> list[str]:
        found = [arn for arn in self.backups if self._status(client, arn) != "AVAILABLE"]
        for arn in self.exports:
            export = expect(client.call("DescribeExport", {"ExportArn": arn}))["ExportDescription"]
            assert export["ExportStatus"] in ("IN_PROGRESS", "COMPLETED"), export
            found += [arn] if export["ExportStatus"] == "IN_PROGRESS" else []
        for arn in self.imports:
            described = expect(client.call("DescribeImport", {"ImportArn": arn}))["ImportTableDescription"]
            assert described["ImportStatus"] in ("IN_PROGRESS", "COMPLETED"), described
            found += [arn] if described["ImportStatus"] == "IN_PROGRESS" else []
        return found

    def _verify(self, client: Client) -> None:
        assert self._scan(client, TABLE) == self.items
        listed = expect(client.call("ListBackups", {}))["BackupSummaries"]
        assert {one["BackupArn"] for one in listed} == self.backups.keys()
        for arn, content in self.exports.items():
            assert differences(self._exported(client, arn), content) == {}, arn
        for number, (arn, content) in enumerate(self.backups.items()):
            name = f"Checked-{self.round}-{number}"
            expect(client.call("RestoreTableFromBackup", {"TargetTableName": name, "BackupArn": arn}))
            self.tables[name] = content
        self._wait(client)
        for name, content in self.tables.items():
            assert self._scan(client, name, "by-g") == content, name
            expect(client.call("DeleteTable", {"TableName": name}))
        for arn in list(self.backups)[:-1]:
            expect(client.call("DeleteBackup", {"BackupArn": arn}))
            del self.backups[arn]
        self.tables.clear()
        self.exports.clear()
        self.imports.clear()

    def _scan(self, client: Client, table: str, index: str | None = None) -> Content:
        found: Content = {}
        body: dict[str, Any] = {"TableName": table} | ({"IndexName": index} if index else {})
        while True:
            page = expect(client.call("Scan", body))
            found |= {one["pk"]["S"]: int(one["n"]["N"]) for one in page["Items"]}
            if "LastEvaluatedKey" not in page:
                return found
            body["ExclusiveStartKey"] = page["LastEvaluatedKey"]

    def _exported(self, client: Client, arn: str) -> Content:
        export = expect(client.call("DescribeExport", {"ExportArn": arn}))["ExportDescription"]
        bucket = self.data / "s3" / BUCKET
        summary = json.loads((bucket / export["ExportManifest"]).read_bytes())
        found: Content = {}
        for line in (bucket / summary["manifestFilesS3Key"]).read_text().splitlines():
            with gzip.open(bucket / json.loads(line)["dataFileS3Key"], "rt") as file:
                for row in file:
                    one = json.loads(row)["Item"]
                    assert one["pk"]["S"] not in found
                    found[one["pk"]["S"]] = int(one["n"]["N"])
        assert len(found) == export["ItemCount"]
        return found

    # Commands

    def _atoll(self, *arguments: object) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-m", "atoll", *map(str, arguments)],
            env=os.environ | {"PYTHONPATH": str(servers.ROOT / "src")},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )

    def _kill(self, process: subprocess.Popen[bytes], after_s: float) -> None:
        with suppress(subprocess.TimeoutExpired):
            process.wait(after_s)
        process.send_signal(signal.SIGKILL)
        process.communicate()

    def _run(self, *arguments: object) -> None:
        process = self._atoll(*arguments)
        output, _ = process.communicate(timeout=PATIENCE_S)
        assert process.returncode == 0, output.decode()

    def _back_up_and_restore(self) -> None:
        """A backup and a restore that are killed, and then run again."""
        self._kill(self._atoll("backup", "--data", self.data, "--to", self.file), self.chance.uniform(0, 1.5))
        self._run("backup", "--data", self.data, "--to", self.file)
        self._run("backup", "verify", self.file)
        restore = "restore", self.file, "--data", self.restored
        self._kill(self._atoll(*restore), self.chance.uniform(0, 1.5))
        whole = list(self.restored.glob("*/atoll.db"))
        if not whole or (self.restored / "copying").exists():
            self._run(*restore)
        self._run("store", "check", "--data", self.restored)
        with servers.atoll(self.restored, *OPTIONS) as server, Client(server.port) as client:
            assert self._scan(client, TABLE) == self.items
        shutil.rmtree(self.restored)
