"""Explanations, the audit log, `iam-log`, and the commands."""

from __future__ import annotations

import json
import urllib.request
from pathlib import Path
from typing import Any

import orjson
import pytest
from botocore.exceptions import ClientError

from atoll import cli
from atoll.security.audit import AuditLog
from atoll.testing import serve

ARN = "arn:aws:dynamodb:us-east-1:000000000000:table/Notes"
OWN = {"ForAllValues:StringEquals": {"dynamodb:LeadingKeys": ["${aws:username}"]}}
USERS: dict[str, Any] = {
    "ann": {
        "access_keys": {"AKIAANN": "s"},
        "policies": [
            {
                "Version": "2012-10-17",
                "Statement": [
                    {"Sid": "Own", "Effect": "Allow", "Action": "dynamodb:*Item", "Resource": ARN, "Condition": OWN},
                    {"Effect": "Deny", "Action": "dynamodb:DeleteTable", "Resource": "*"},
                ],
            }
        ],
    },
    "root": {"access_keys": {"AKIAALL": "s"}, "policies": ["AdministratorAccess"], "admin": True},
}
TABLE = {
    "TableName": "Notes", "BillingMode": "PAY_PER_REQUEST",
    "KeySchema": [{"AttributeName": "owner", "KeyType": "HASH"}],
    "AttributeDefinitions": [{"AttributeName": "owner", "AttributeType": "S"}],
}  # fmt: skip


def post(server: Any, path: str, body: Any = None) -> Any:
    data = None if body is None else orjson.dumps(body)
    request = urllib.request.Request(f"{server.endpoint_url}/_atoll/{path}", data, {"Authorization": "Bearer t"})
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)


@pytest.fixture
def server() -> Any:
    with serve(policies={"users": USERS}, admin_token="t") as server:
        server.user("root").create_table(**TABLE)
        yield server


def test_an_explanation_names_the_statement_and_the_keys(server: Any) -> None:
    request = {"TableName": "Notes", "Key": {"owner": {"S": "ann"}}}
    answer = post(server, "policies/explain", {"principal": "ann", "operation": "GetItem", "request": request})
    (check,) = answer["checks"]
    assert answer["allowed"]
    assert check["statement"] == {
        "kind": "identity-based policy", "policy": "users.ann, policy 1", "number": 1, "sid": "Own",
    }  # fmt: skip
    assert check["keys"] == {"aws:username": ["ann"], "dynamodb:leadingkeys": ["ann"]}
    assert check["reason"] == "allowed by statement Own of the identity-based policy, users.ann, policy 1"


@pytest.mark.parametrize(
    ("question", "decision", "reason"),
    [
        ({"operation": "GetItem", "request": {"TableName": "Notes", "Key": {"owner": {"S": "bob"}}}},
         "implicitDeny", "because no identity-based policy allows the dynamodb:GetItem action"),
        ({"action": "dynamodb:DeleteTable", "resource": ARN},
         "explicitDeny", "with an explicit deny in an identity-based policy"),
        ({"action": "PutItem", "resource": ARN, "context": {"dynamodb:LeadingKeys": ["ann", "bob"]}},
         "implicitDeny", "because no identity-based policy allows"),
    ],
)  # fmt: skip
def test_why_a_request_is_denied(server: Any, question: Any, decision: str, reason: str) -> None:
    answer = post(server, "policies/explain", {"principal": "ann", **question})
    assert not answer["allowed"]
    assert answer["checks"][0]["decision"] == decision
    assert reason in answer["checks"][0]["reason"]


def test_the_explaining_does_nothing(server: Any) -> None:
    request = {"TableName": "Notes", "Item": {"owner": {"S": "ann"}}}
    post(server, "policies/explain", {"principal": "ann", "operation": "PutItem", "request": request})
    assert server.user("root").scan(TableName="Notes")["Items"] == []


@pytest.mark.parametrize(
    "question",
    [
        {}, {"principal": "zoe", "action": "a:b", "resource": "*"}, {"principal": "ann"},
        {"principal": "ann", "action": "a:b", "resource": "x"}, {"principal": "ann", "operation": "Nothing"},
        {"principal": "ann", "operation": "GetItem", "request": {}},
        {"principal": "ann", "action": "a:b", "resource": "*", "context": {"k": {}}},
    ],
)  # fmt: skip
def test_a_faulty_question(server: Any, question: Any) -> None:
    with pytest.raises(urllib.error.HTTPError) as caught:
        post(server, "policies/explain", question)
    assert caught.value.code == 400


def test_only_administrators_may_ask(server: Any) -> None:
    url = f"{server.endpoint_url}/_atoll/policies/observed"
    with pytest.raises(urllib.error.HTTPError):
        urllib.request.urlopen(url)


def test_iam_log_allows_everything_and_logs_the_requests_that_iam_would_refuse(caplog: Any) -> None:
    with serve(policies={"users": USERS}, auth="iam-log", admin_token="t") as server:
        ann = server.user("ann")
        ann.create_table(**TABLE)
        ann.put_item(TableName="Notes", Item={"owner": {"S": "bob"}})
        ann.get_item(TableName="Notes", Key={"owner": {"S": "ann"}})
        answer = post(server, "policies/observed")["policies"]
    assert answer == {
        "arn:aws:iam::000000000000:user/ann": {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Effect": "Allow",
                    "Action": ["dynamodb:CreateTable", "dynamodb:GetItem", "dynamodb:PutItem"],
                    "Resource": [ARN],
                }
            ],
        }
    }
    refused = [record.message for record in caplog.records if "would refuse" in record.message]
    assert len(refused) == 2
    assert "dynamodb:PutItem on resource: " + ARN + " because no identity-based policy allows" in refused[1]


def test_the_audit_log_has_caller_action_and_reason_but_no_contents(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    with serve(policies={"users": USERS}, audit_log=path) as server:
        server.user("root").create_table(**TABLE)
        ann = server.user("ann")
        ann.put_item(TableName="Notes", Item={"owner": {"S": "ann"}, "body": {"S": "confidential"}})
        with pytest.raises(ClientError):
            ann.scan(TableName="Notes")
        with pytest.raises(ClientError):
            server.client(aws_access_key_id="AKIANOBODY").list_tables()
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert "confidential" not in path.read_text()
    put, scan, nobody = lines[-3:]
    assert put["principal"] == "arn:aws:iam::000000000000:user/ann"
    assert put["access_key"] == "AKIAANN" and put["source"] == "127.0.0.1" and "Boto3" in put["user_agent"]
    assert (put["operation"], put["action"], put["resource"]) == ("PutItem", "dynamodb:PutItem", ARN)
    assert (put["decision"], put["by"]) == (
        "allowed",
        "statement Own of the identity-based policy, users.ann, policy 1",
    )
    assert (scan["decision"], scan["by"]) == ("denied", "no identity-based policy")
    assert (nobody["operation"], nobody["error"]) == ("ListTables", "UnrecognizedClientException")


def test_the_audit_log_is_rotated(tmp_path: Path) -> None:
    path = tmp_path / "audit"
    log, other = AuditLog(path, 1_000), AuditLog(path, 1_000)
    for number in range(200):
        (log if number % 2 else other).write({"number": number, "filling": "x" * 100})
        if number % 20 == 0:
            log.close()
            log = AuditLog(path, 1_000)
    log.close()
    other.close()
    files = sorted(one.name for one in tmp_path.iterdir() if one.suffix != ".lock")
    assert files[-1] in ("audit.5", "audit.4", "audit.3", "audit.2", "audit.1")
    for name in files:
        for line in (tmp_path / name).read_text().splitlines():
            assert json.loads(line)["filling"]


def test_the_audit_log_continues_when_its_directory_is_back(tmp_path: Path) -> None:
    path = tmp_path / "logs" / "audit"
    path.parent.mkdir()
    log = AuditLog(path, 1_000)
    path.parent.rename(tmp_path / "away")
    for _ in range(2):
        with pytest.raises(FileNotFoundError):
            log._append(b"lost\n")
    path.parent.mkdir()
    log.write({"number": 1})
    log.close()
    assert json.loads(path.read_text()) == {"number": 1}


# The commands


def run(tmp_path: Path, capsys: Any, *arguments: str) -> tuple[int, str]:
    code = cli.main([*arguments[:2], "--data", str(tmp_path / "data"), *arguments[2:]])
    return code, capsys.readouterr().out.strip()


def test_users_roles_and_policies_by_command(tmp_path: Path, capsys: Any) -> None:
    read = {"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "dynamodb:GetItem", "Resource": "*"}}
    (tmp_path / "read.json").write_text(json.dumps(read))
    (tmp_path / "trust.json").write_text(
        json.dumps({"Statement": {"Effect": "Allow", "Principal": "*", "Action": "sts:AssumeRole"}})
    )
    assert run(tmp_path, capsys, "policies", "put", "read", str(tmp_path / "read.json"))[0] == 0
    assert run(tmp_path, capsys, "users", "create", "ann", "--tag", "team=red") == (
        0, "arn:aws:iam::000000000000:user/ann",
    )  # fmt: skip
    assert run(tmp_path, capsys, "users", "attach", "ann", "read")[0] == 0
    assert run(tmp_path, capsys, "users", "attach", "ann", str(tmp_path / "read.json"))[0] == 0
    assert run(tmp_path, capsys, "users", "list") == (0, "ann  read, (document)")
    assert run(tmp_path, capsys, "users", "detach", "ann", "2")[0] == 0
    assert run(tmp_path, capsys, "roles", "create", "ops", "--trust", str(tmp_path / "trust.json"))[0] == 0
    assert run(tmp_path, capsys, "roles", "list") == (0, "ops")
    code, out = run(tmp_path, capsys, "credentials", "create", "--user", "ann")
    assert code == 0 and "AWS_ACCESS_KEY_ID=AKIA" in out
    assert run(tmp_path, capsys, "credentials", "list")[1].endswith("user ann")
    # What would be faulty is not written.
    assert run(tmp_path, capsys, "users", "attach", "ann", "absent")[0] == 2
    assert run(tmp_path, capsys, "policies", "delete", "read")[0] == 2
    assert run(tmp_path, capsys, "users", "create", "ann")[0] == 2
    assert run(tmp_path, capsys, "users", "list") == (0, "ann  read")
    assert run(tmp_path, capsys, "users", "delete", "ann")[0] == 0
    assert run(tmp_path, capsys, "users", "list") == (0, "")


def test_explain_by_command(server: Any, capsys: Any) -> None:
    def ask(*arguments: str) -> tuple[int, str]:
        options = ["--endpoint", server.endpoint_url, "--admin-token", "t"]
        code = cli.main(["policies", "explain", *options, *arguments])
        return code, capsys.readouterr().out

    code, out = ask("ann", "dynamodb:DeleteTable", ARN)
    assert code == 1 and "explicitDeny: dynamodb:DeleteTable" in out and out.endswith("denied\n")
    code, out = ask("ann", "GetItem", "--request", '{"TableName": "Notes", "Key": {"owner": {"S": "ann"}}}')
    assert code == 0 and "dynamodb:leadingkeys = ann" in out and out.endswith("allowed\n")
