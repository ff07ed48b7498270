"""Users, roles and policies that commands declare in the store, as clients of two front ends meet them."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import boto3
import jwt
import orjson
import pytest
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import ClientError
from cryptography.hazmat.primitives.asymmetric import rsa

from atoll.cli import main
from benchmarks import servers
from tests.postgresql.test_servers import TABLE, front_end

ISSUER = "https://issuer.example/pool"
READ = {"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "dynamodb:GetItem", "Resource": "*"}}
KEY = {"pk": {"S": "a"}}


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The URL of an empty database, which commands use."""
    url = asyncio.run(servers.database_for(tmp_path))
    monkeypatch.setenv("ATOLL_STORE", url)
    return url


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    def run(*words: str) -> str:
        capsys.readouterr()
        assert main(list(words)) == 0
        return capsys.readouterr().out

    return run


@pytest.fixture
def keys(command: Callable[..., str], tmp_path: Path) -> Callable[..., dict[str, str]]:
    def create(*options: str) -> dict[str, str]:
        found = dict(line.split("=", 1) for line in command("credentials", "create", *options).split())
        return {name.lower(): value for name, value in found.items()}

    return create


@pytest.fixture
def policy(tmp_path: Path) -> str:
    path = tmp_path / "read.json"
    path.write_text(json.dumps(READ))
    return str(path)


@pytest.fixture
def pair() -> Iterator[Callable[..., list[servers.Server]]]:
    with ExitStack() as running:
        yield lambda store, *options: [running.enter_context(front_end(store, *options)) for _ in range(2)]


def client(server: servers.Server, keys: dict[str, str], service: str = "dynamodb", **options: Any) -> Any:
    return boto3.client(
        service, endpoint_url=f"http://{servers.HOST}:{server.port}", region_name="us-east-1", **keys, **options
    )


def soon(condition: Callable[[], bool]) -> None:
    """Front ends learn of a change within some seconds."""
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def allows(call: Callable[[], object]) -> bool:
    try:
        call()
    except ClientError as error:
        assert error.response["Error"]["Code"] in ("AccessDeniedException", "UnrecognizedClientException"), error
        return False
    return True


def may_get(client: Any) -> bool:
    return allows(partial(client.get_item, TableName="Things", Key=KEY))


def may_not_get(client: Any) -> bool:
    return not may_get(client)


def may_put(client: Any) -> bool:
    return allows(partial(client.put_item, TableName="Things", Item=KEY))


def test_all_front_ends_know_the_users_that_a_command_declared(
    store: str, command: Callable[..., str], keys: Any, policy: str, pair: Any
) -> None:
    command("policies", "put", "read-things", policy)
    command("users", "create", "ann", "--tag", "team=red")
    ann, root = keys("--user", "ann"), keys()
    both = pair(store, "--auth", "iam")
    client(both[0], root).create_table(**TABLE)
    clients = [client(server, ann) for server in both]
    assert not any(may_get(one) for one in clients)
    command("users", "attach", "ann", "read-things")
    assert command("users", "list") == "ann  read-things\n"
    for one in clients:
        soon(partial(may_get, one))
        assert not may_put(one)
    command("users", "detach", "ann", "read-things")
    for one in clients:
        soon(partial(may_not_get, one))


def test_a_command_that_the_server_would_refuse_changes_nothing(
    store: str, command: Callable[..., str], capsys: pytest.CaptureFixture[str]
) -> None:
    command("users", "create", "ann")
    assert main(["users", "attach", "ann", "no-such-policy"]) == 2
    assert main(["users", "create", "ann"]) == 2
    assert command("users", "list") == "ann\n"


def test_principal_of_a_file_and_of_a_command_keeps_a_front_end_from_starting(
    store: str, command: Callable[..., str], tmp_path: Path
) -> None:
    command("users", "create", "ann")
    path = tmp_path / "policies.json"
    path.write_text(json.dumps({"users": {"ann": {}}}))
    with pytest.raises(RuntimeError, match=r"users.*ann"), front_end(store, "--policies", str(path)):
        pass


def test_a_web_identity_s_session_holds_at_every_front_end(
    store: str, command: Callable[..., str], keys: Any, policy: str, pair: Any, tmp_path: Path
) -> None:
    """One front end gives the temporary credentials, the other one accepts them."""
    secret = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    public = orjson.loads(jwt.algorithms.RSAAlgorithm.to_jwk(secret.public_key()))
    provider = {"audiences": ["atoll"], "jwks": {"keys": [{**public, "kid": "k", "use": "sig", "alg": "RS256"}]}}
    file, trust = tmp_path / "policies.json", tmp_path / "trust.json"
    file.write_text(json.dumps({"providers": {ISSUER: provider}}))
    arn = f"arn:aws:iam::000000000000:oidc-provider/{ISSUER.removeprefix('https://')}"
    trusted = {"Effect": "Allow", "Action": "sts:AssumeRoleWithWebIdentity", "Principal": {"Federated": arn}}
    trust.write_text(json.dumps({"Version": "2012-10-17", "Statement": trusted}))
    role = command("roles", "create", "reader", "--trust", str(trust)).strip()
    command("roles", "attach", "reader", policy)
    root = keys()
    one, other = pair(store, "--auth", "iam", "--policies", str(file))
    client(one, root).create_table(**TABLE)
    claims = {"iss": ISSUER, "aud": "atoll", "sub": "app", "exp": int(time.time()) + 600}
    token = jwt.encode(claims, secret, algorithm="RS256", headers={"kid": "k"})
    sts = client(one, {}, "sts", config=Config(signature_version=UNSIGNED))
    answer = sts.assume_role_with_web_identity(RoleArn=role, RoleSessionName="web", WebIdentityToken=token)
    found = answer["Credentials"]
    session = {
        "aws_access_key_id": found["AccessKeyId"],
        "aws_secret_access_key": found["SecretAccessKey"],
        "aws_session_token": found["SessionToken"],
    }
    for server in (one, other):
        assert may_get(client(server, session)) and not may_put(client(server, session))
