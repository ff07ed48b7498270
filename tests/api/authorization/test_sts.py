"""The Security Token Service through boto3: sessions of roles and users, and their rights."""

from __future__ import annotations

import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import orjson
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from atoll.testing import serve
from atoll.testing.local import LocalServer

ACCOUNT, OTHER = "000000000000", "444455556666"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/"
ARN = f"arn:aws:dynamodb:us-east-1:{ACCOUNT}:table/Things"
KEY = {"pk": {"S": "a"}}


def statement(action: Any, resource: Any = "*", effect: str = "Allow", **more: Any) -> dict[str, Any]:
    return {"Effect": effect, "Action": action, "Resource": resource, **more}


def document(*statements: dict[str, Any]) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": list(statements)}


def trust(principal: Any, action: Any = "sts:AssumeRole", **more: Any) -> dict[str, Any]:
    return document({"Effect": "Allow", "Principal": principal, "Action": action, **more})


ANN = {"AWS": f"arn:aws:iam::{ACCOUNT}:user/ann"}
READ = document(statement(["dynamodb:GetItem", "dynamodb:PutItem"], ARN))
ROLES: dict[str, Any] = {
    "reader": {"trust": trust(ANN, ["sts:AssumeRole", "sts:TagSession"]), "policies": [READ]},
    "guarded": {"trust": trust(ANN, Condition={"StringEquals": {"sts:ExternalId": "42"}}), "policies": [READ]},
    "long": {"trust": trust(ANN), "policies": [READ], "max_session_duration": 7200},
    "chained": {"trust": trust({"AWS": f"{ROLE}reader"}), "policies": [READ]},
    "open": {"trust": trust({"AWS": ACCOUNT}), "policies": [READ]},
    "closed": {"trust": trust({"AWS": OTHER}), "policies": [READ]},
    "tagged": {
        "trust": trust(ANN, ["sts:AssumeRole", "sts:TagSession"]),
        "policies": [document(statement("dynamodb:*", Condition={"StringEquals": {"aws:PrincipalTag/team": "red"}}))],
    },
    "untaggable": {"trust": trust(ANN), "policies": [READ]},
}
DECLARED: dict[str, Any] = {
    "users": {
        "ann": {"access_keys": {"AKIAANN": "s"}},
        "bob": {"access_keys": {"AKIABOB": "s"}, "policies": [document(statement("sts:AssumeRole"))]},
        "root": {"access_keys": {"AKIAALL": "s"}, "policies": ["AdministratorAccess"]},
    },
    "roles": ROLES,
    "accounts": {OTHER: {"users": {"ben": {"access_keys": {"AKIABEN": "s"},
                                           "policies": [document(statement("sts:AssumeRole"))]}}}},
}  # fmt: skip


@pytest.fixture(scope="module")
def server() -> Iterator[LocalServer]:
    with serve(policies=DECLARED) as server:
        server.user("root").create_table(
            TableName="Things", BillingMode="PAY_PER_REQUEST",
            KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        )  # fmt: skip
        yield server


def assume(client: Any, role: str, name: str = "s1", **more: Any) -> Any:
    return client.assume_role(RoleArn=ROLE + role, RoleSessionName=name, **more)


def with_credentials(server: LocalServer, answer: Any, service: str = "dynamodb") -> Any:
    given = answer["Credentials"]
    return server.client(
        service, aws_access_key_id=given["AccessKeyId"], aws_secret_access_key=given["SecretAccessKey"],
        aws_session_token=given["SessionToken"],
    )  # fmt: skip


def error(ask: Any, *args: Any, **more: Any) -> tuple[int, str, str]:
    with pytest.raises(ClientError) as caught:
        ask(*args, **more)
    answer = caught.value.response
    return answer["ResponseMetadata"]["HTTPStatusCode"], answer["Error"]["Code"], answer["Error"]["Message"]


def test_the_identity_of_users_and_sessions(server: LocalServer) -> None:
    answer = server.user("ann", "sts").get_caller_identity()
    assert (answer["Account"], answer["Arn"]) == (ACCOUNT, f"arn:aws:iam::{ACCOUNT}:user/ann")
    assert answer["UserId"].startswith("AIDA")
    session = with_credentials(server, assume(server.user("ann", "sts"), "reader"), "sts").get_caller_identity()
    assert session["Arn"] == f"arn:aws:sts::{ACCOUNT}:assumed-role/reader/s1"
    assert session["UserId"].startswith("AROA") and session["UserId"].endswith(":s1")


def test_a_session_has_the_rights_of_its_role(server: LocalServer) -> None:
    answer = assume(server.user("ann", "sts"), "reader")
    assert answer["AssumedRoleUser"]["Arn"] == f"arn:aws:sts::{ACCOUNT}:assumed-role/reader/s1"
    assert answer["Credentials"]["AccessKeyId"].startswith("ASIA")
    assert 3590 < answer["Credentials"]["Expiration"].timestamp() - time.time() <= 3600
    client = with_credentials(server, answer)
    client.put_item(TableName="Things", Item=KEY)
    assert error(client.scan, TableName="Things")[2] == (
        f"User: arn:aws:sts::{ACCOUNT}:assumed-role/reader/s1 is not authorized to perform: dynamodb:Scan on resource: "
        f"{ARN} because no identity-based policy allows the dynamodb:Scan action"
    )


def test_session_policies_only_take_away(server: LocalServer) -> None:
    policy = orjson.dumps(document(statement(["dynamodb:GetItem", "dynamodb:Scan"]))).decode()
    answer = assume(server.user("ann", "sts"), "reader", Policy=policy)
    assert answer["PackedPolicySize"] > 0
    client = with_credentials(server, answer)
    assert client.get_item(TableName="Things", Key={"pk": {"S": "absent"}})
    assert "no session policy allows" in error(client.put_item, TableName="Things", Item=KEY)[2]
    assert "no identity-based policy allows" in error(client.scan, TableName="Things")[2]


def test_managed_session_policies(server: LocalServer) -> None:
    arns = [{"arn": "arn:aws:iam::aws:policy/AmazonDynamoDBReadOnlyAccess"}]
    client = with_credentials(server, assume(server.user("ann", "sts"), "reader", PolicyArns=arns))
    assert "no session policy allows" in error(client.put_item, TableName="Things", Item=KEY)[2]


@pytest.mark.parametrize(
    ("user", "role", "more", "allowed"),
    [
        ("ann", "guarded", {"ExternalId": "42"}, True),
        ("ann", "guarded", {"ExternalId": "43"}, False),
        ("ann", "guarded", {}, False),
        ("ann", "open", {}, False),
        ("bob", "open", {}, True),
        ("bob", "reader", {}, False),
        ("ann", "closed", {}, False),
        ("ann", "absent", {}, False),
        ("ann", "untaggable", {"Tags": [{"Key": "team", "Value": "red"}]}, False),
    ],
)
def test_principals_that_may_assume_a_role(server: LocalServer, user: str, role: str, more: Any, allowed: bool) -> None:
    client = server.user(user, "sts")
    if allowed:
        assert assume(client, role, **more)
        return
    action = "sts:TagSession" if more.get("Tags") else "sts:AssumeRole"
    assert error(assume, client, role, **more) == (
        403, "AccessDenied",
        f"User: arn:aws:iam::{ACCOUNT}:user/{user} is not authorized to perform: {action} on resource: {ROLE}{role}",
    )  # fmt: skip


def test_a_user_of_another_account_assumes_a_role(server: LocalServer) -> None:
    ben = server.user("ben", "sts", account=OTHER)
    client = with_credentials(server, assume(ben, "closed"))
    assert client.put_item(TableName="Things", Item=KEY)
    assert error(assume, ben, "open")[1] == "AccessDenied"


def test_session_tags_are_tags_of_the_principal(server: LocalServer) -> None:
    ann = server.user("ann", "sts")
    red = with_credentials(server, assume(ann, "tagged", Tags=[{"Key": "Team", "Value": "red"}]))
    assert red.put_item(TableName="Things", Item=KEY)
    assert "no identity" in error(with_credentials(server, assume(ann, "tagged")).scan, TableName="Things")[2]
    twice = [{"Key": "a", "Value": "1"}, {"Key": "A", "Value": "2"}]
    assert error(assume, ann, "tagged", Tags=twice)[1] == "ValidationError"


def test_durations(server: LocalServer) -> None:
    ann = server.user("ann", "sts")
    assert assume(ann, "long", DurationSeconds=7200)
    assert error(assume, ann, "long", DurationSeconds=7201) == (
        400, "ValidationError", "The requested DurationSeconds exceeds the MaxSessionDuration set for this role.",
    )  # fmt: skip
    lenient = server.user("ann", "sts", config=Config(parameter_validation=False))
    status, code, message = error(assume, lenient, "long", DurationSeconds=899)
    assert (status, code) == (400, "ValidationError")
    assert "durationSeconds" in message and "greater than or equal to 900" in message
    reader = with_credentials(server, assume(ann, "reader"), "sts")
    assert assume(reader, "chained")["AssumedRoleUser"]["Arn"].endswith("assumed-role/chained/s1")
    assert "1-hour session limit" in error(assume, reader, "chained", DurationSeconds=3601)[2]


@pytest.mark.parametrize(
    ("policy", "code"),
    [("{", "MalformedPolicyDocument"), ("{}", "MalformedPolicyDocument"), ("x" * 2049, "PackedPolicyTooLarge")],
)
def test_faulty_session_policies(server: LocalServer, policy: str, code: str) -> None:
    assert error(assume, server.user("ann", "sts"), "reader", Policy=policy)[:2] == (400, code)


def test_get_session_token(server: LocalServer) -> None:
    answer = server.user("root", "sts").get_session_token(DurationSeconds=900)
    client = with_credentials(server, answer)
    assert client.list_tables()["TableNames"] == ["Things"]
    sts = with_credentials(server, answer, "sts")
    assert sts.get_caller_identity()["Arn"] == f"arn:aws:iam::{ACCOUNT}:user/root"
    assert error(sts.get_session_token) == (
        403, "AccessDenied", "Cannot call GetSessionToken with session credentials",
    )  # fmt: skip


def test_a_token_that_is_not_its_own_is_refused(server: LocalServer) -> None:
    answer = assume(server.user("ann", "sts"), "reader")
    other = assume(server.user("ann", "sts"), "reader")
    for credentials in (
        {**answer["Credentials"], "SessionToken": answer["Credentials"]["SessionToken"][:-8] + "AAAAAAA="},
        {**answer["Credentials"], "SessionToken": other["Credentials"]["SessionToken"]},
        {**answer["Credentials"], "AccessKeyId": "AKIAANN"},
    ):
        client = with_credentials(server, {"Credentials": credentials})
        assert error(client.scan, TableName="Things")[1] in ("UnrecognizedClientException", "InvalidSignatureException")
        sts = with_credentials(server, {"Credentials": credentials}, "sts")
        assert error(sts.get_caller_identity)[:2] in ((403, "InvalidClientTokenId"), (403, "SignatureDoesNotMatch"))


def test_the_assume_role_of_the_sdk_works_unchanged(server: LocalServer, tmp_path: Path, monkeypatch: Any) -> None:
    config = tmp_path / "config"
    config.write_text(
        f"[profile ann]\naws_access_key_id = AKIAANN\naws_secret_access_key = s\n"
        f"[profile reader]\nrole_arn = {ROLE}reader\nsource_profile = ann\nregion = us-east-1\n"
        f"endpoint_url = {server.endpoint_url}\n"
    )
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    monkeypatch.setenv("AWS_ENDPOINT_URL", server.endpoint_url)
    monkeypatch.delenv("AWS_ACCESS_KEY_ID", raising=False)
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY", raising=False)
    client = boto3.Session(profile_name="reader").client("dynamodb", config=Config(proxies={}))
    assert client.put_item(TableName="Things", Item=KEY)["ResponseMetadata"]["HTTPStatusCode"] == 200


@pytest.mark.parametrize("auth", ["none", "sigv4"])
def test_without_policies_every_caller_is_the_root(auth: str) -> None:
    with serve(policies={"users": DECLARED["users"], "roles": ROLES}, auth=auth) as server:
        sts = server.user("ann", "sts")
        answer = sts.get_caller_identity()
        assert answer["Account"] == ACCOUNT
        client = with_credentials(server, assume(sts, "closed"))
        assert client.list_tables()["TableNames"] == []
        assert sts.get_session_token()["Credentials"]


# Web identities

ISSUER = "https://issuer.example/pool"


@pytest.fixture(scope="module")
def web() -> Iterator[Any]:
    import jwt
    from cryptography.hazmat.primitives.asymmetric import rsa

    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    public = orjson.loads(jwt.algorithms.RSAAlgorithm.to_jwk(key.public_key()))
    jwks = {"keys": [{**public, "kid": "k1", "use": "sig", "alg": "RS256"}]}
    provider = f"arn:aws:iam::{ACCOUNT}:oidc-provider/issuer.example/pool"
    subject = {"StringLike": {"issuer.example/pool:sub": "app-*"}}
    roles = {
        "web": {
            "trust": trust({"Federated": provider}, "sts:AssumeRoleWithWebIdentity", Condition=subject),
            "policies": [READ],
        },
        "other": {"trust": trust(ANN), "policies": [READ]},
    }
    declared = {"roles": roles, "providers": {ISSUER: {"audiences": ["sts.amazonaws.com"], "jwks": jwks}}}
    with serve(policies=declared) as server:

        def token(**claims: Any) -> str:
            given = {"iss": ISSUER, "aud": "sts.amazonaws.com", "sub": "app-1", "exp": int(time.time()) + 600, **claims}
            return jwt.encode(given, key, algorithm="RS256", headers={"kid": claims.pop("kid", "k1")})

        yield server, token


def by_web(server: LocalServer, token: str, role: str = "web") -> Any:
    from botocore import UNSIGNED

    sts = server.client("sts", config=Config(signature_version=UNSIGNED))
    return sts.assume_role_with_web_identity(RoleArn=ROLE + role, RoleSessionName="w1", WebIdentityToken=token)


def test_a_web_identity_assumes_a_role(web: Any) -> None:
    server, token = web
    answer = by_web(server, token())
    assert answer["SubjectFromWebIdentityToken"] == "app-1"
    assert answer["Audience"] == "sts.amazonaws.com"
    identity = with_credentials(server, answer, "sts").get_caller_identity()
    assert identity["Arn"] == f"arn:aws:sts::{ACCOUNT}:assumed-role/web/w1"


@pytest.mark.parametrize(
    ("claims", "role", "code", "message"),
    [
        ({"sub": "user-1"}, "web", "AccessDenied", "Not authorized to perform sts:AssumeRoleWithWebIdentity"),
        ({}, "other", "AccessDenied", "Not authorized to perform sts:AssumeRoleWithWebIdentity"),
        ({}, "absent", "AccessDenied", "Not authorized to perform sts:AssumeRoleWithWebIdentity"),
        ({"iss": "https://x.example"}, "web", "InvalidIdentityToken",
         "No OpenIDConnect provider found in your account for https://x.example"),
        ({"aud": "me"}, "web", "InvalidIdentityToken", "Incorrect token audience"),
        ({"exp": 1}, "web", "ExpiredTokenException", "Token expired"),
        ({"exp": None}, "web", "ExpiredTokenException", "Token expired"),
    ],
)  # fmt: skip
def test_a_web_identity_that_is_refused(web: Any, claims: Any, role: str, code: str, message: str) -> None:
    server, token = web
    status, found, text = error(by_web, server, token(**claims), role)
    assert (found, text[: len(message)]) == (code, message)
    assert status == (403 if code == "AccessDenied" else 400)


@pytest.mark.parametrize("token", ["nothing", "a.b.c", "eyJhbGciOiJub25lIn0.e30."])
def test_invalid_tokens(web: Any, token: str) -> None:
    server, _ = web
    assert error(by_web, server, token)[:2] == (400, "InvalidIdentityToken")


@pytest.mark.parametrize(
    "form",
    [
        "Action=GetSessionToken&Version=2011-06-15",
        "Action=GetSessionToken&Version=2011%2D06-15",
        "Version=2000-01-01&Action=GetSessionToken&Version=2011-06-15",
        "Action=AssumeRoleWithWebIdentity&Version=2011-06-15&Action=GetSessionToken",
        "Action=GetSessionToken&Version=2011-06-15&Action=AssumeRoleWithWebIdentity&Action=GetCallerIdentity",
    ],
)
def test_a_form_cannot_evade_its_signature(server: LocalServer, form: str) -> None:
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    request = urllib.request.Request(server.endpoint_url, form.encode(), headers)
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(request)
    assert caught.value.code == 403
    assert b"<Code>MissingAuthenticationToken</Code>" in caught.value.read()
