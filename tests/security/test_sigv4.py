"""Signatures made by botocore are accepted; any change after signing is refused."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from email.utils import formatdate
from typing import Any
from urllib.parse import urlsplit

import botocore.auth
import botocore.credentials
import pytest
from botocore.awsrequest import AWSRequest
from hypothesis import given, settings
from hypothesis import strategies as st

from atoll.errors import ApiError
from atoll.security.credentials import Credential
from atoll.security.sigv4 import Signer, Verifier, canonical_query, claimed, normal_path

NOW_MS = 1_767_323_045_000  # 2026-01-02T03:04:05Z
MINUTE_MS = 60_000
KEY = Credential("AKIAEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")
TEMPORARY = Credential("ASIAEXAMPLE", "secret", session_token="a/session+token==")
BODY = json.dumps({"TableName": "Käse", "Key": {"pk": {"S": "1"}}}).encode()
HEADERS = {"Content-Type": "application/x-amz-json-1.0", "X-Amz-Target": "DynamoDB_20120810.GetItem"}
SIGNER = Signer("AKIAEXAMPLE", "eu-central-1", "dynamodb", admin=False)


@dataclass
class Request:
    method: bytes = b"POST"
    path: bytes = b"/"
    query: bytes = b""
    headers: dict[bytes, bytes] = field(default_factory=dict)
    body: bytes = b""


def sent(request: AWSRequest, body: bytes) -> Request:
    """As it arrives at the server."""
    url = urlsplit(request.url)
    headers = {name.lower().encode(): str(value).encode("latin-1") for name, value in request.headers.items()}
    headers.setdefault(b"host", url.netloc.encode())
    return Request(request.method.encode(), (url.path or "/").encode(), url.query.encode(), headers, body)


def at(monkeypatch: pytest.MonkeyPatch, now_ms: int) -> None:
    moment = datetime.fromtimestamp(now_ms / 1000, UTC).replace(tzinfo=None)
    monkeypatch.setattr(botocore.auth, "get_current_datetime", lambda *_, **__: moment)


@pytest.fixture(autouse=True)
def _signed_now(monkeypatch: pytest.MonkeyPatch) -> None:
    at(monkeypatch, NOW_MS)


def signed(
    url: str = "http://localhost:8000/",
    *,
    method: str = "POST",
    body: bytes = BODY,
    headers: dict[str, str] | None = None,
    credential: Credential = KEY,
    region: str = "eu-central-1",
    service: str = "dynamodb",
) -> Request:
    request = AWSRequest(method, url, data=body, headers=HEADERS if headers is None else headers)
    keys = botocore.credentials.Credentials(credential.access_key, credential.secret, credential.session_token)
    botocore.auth.SigV4Auth(keys, service, region).add_auth(request)
    return sent(request, body)


def presigned(
    url: str = "http://localhost:8000/", *, expires: int = 3600, credential: Credential = KEY, method: str = "POST"
) -> Request:
    request = AWSRequest(method, url, headers={"X-Amz-Target": HEADERS["X-Amz-Target"]})
    keys = botocore.credentials.Credentials(credential.access_key, credential.secret, credential.session_token)
    botocore.auth.SigV4QueryAuth(keys, "dynamodb", "eu-central-1", expires=expires).add_auth(request)
    return sent(request, b"")


def verifier(*credentials: Credential) -> Verifier:
    return Verifier({c.access_key: c for c in credentials or (KEY, TEMPORARY)}.get)


def refused(request: Request, now_ms: int = NOW_MS, service: str | None = "dynamodb") -> tuple[str, str]:
    with pytest.raises(ApiError) as caught:
        verifier().verify(request, now_ms, service)
    assert caught.value.status == 400
    assert caught.value.prefix == "com.amazon.coral.service#"
    return caught.value.code, caught.value.message or ""


def edited(request: Request, old: bytes, new: bytes) -> Request:
    """With a change in its Authorization header."""
    authorization = request.headers[b"authorization"]
    assert old in authorization
    return replace(request, headers={**request.headers, b"authorization": authorization.replace(old, new)})


def test_a_signed_request_identifies_its_signer() -> None:
    assert verifier().verify(signed(), NOW_MS, "dynamodb") == SIGNER


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"X-Odd": "  many   spaces \t and tabs  "},
        {"X-Odd": "a: b"},
        {"X-Odd": '"quoted   text"'},
        {"X-Per%cent": "100%s"},
        {"X-Empty": ""},
        {"Content-Type": "application/x-amz-json-1.0", "Amz-Sdk-Request": "attempt=1; max=3"},
    ],
)
def test_odd_headers_are_signed_as_botocore_signs_them(headers: dict[str, str]) -> None:
    assert verifier().verify(signed(headers={**HEADERS, **headers}), NOW_MS) == SIGNER


@pytest.mark.parametrize(
    "target",
    [
        "/?b=2&a=1&a=0",
        "/?name=%C3%BC%20%2B&empty=&flag",
        "/2015-03-31/event-source-mappings/",
        "/2015-03-31/functions/arn%3Aaws%3Alambda/x",
        "/a//b/./c/../d/",
        "/tilde~star*",
        "/_atoll/%C3%9Cber%20alles",
    ],
)
def test_odd_paths_and_queries_are_signed_as_botocore_signs_them(target: str) -> None:
    request = signed(f"http://localhost:8000{target}", method="GET", body=b"", service="lambda")
    if request.query.endswith(b"&flag"):  # botocore signs a name without "=" as "flag="
        request.query += b"="
    assert verifier().verify(request, NOW_MS, "lambda") == SIGNER._replace(service="lambda")


def test_any_service_is_taken_where_none_is_asked_for() -> None:
    assert verifier().verify(signed(service="execute-api"), NOW_MS).service == "execute-api"


def test_the_hash_of_the_body_may_be_stated_and_must_be_right() -> None:
    request = signed(headers={**HEADERS, "X-Amz-Content-SHA256": "UNSIGNED-PAYLOAD"})
    assert refused(request)[0] == "InvalidSignatureException"
    request = signed(headers={**HEADERS, "X-Amz-Content-SHA256": hashlib.sha256(BODY).hexdigest()})
    assert verifier().verify(request, NOW_MS) == SIGNER


def test_a_session_token_must_be_the_credentials_own() -> None:
    request = signed(credential=TEMPORARY)
    assert verifier().verify(request, NOW_MS).access_key == "ASIAEXAMPLE"
    invalid = ("UnrecognizedClientException", "The security token included in the request is invalid")
    assert refused(signed(credential=replace(TEMPORARY, session_token="another"))) == invalid
    assert refused(signed(credential=replace(TEMPORARY, session_token=None))) == invalid
    assert refused(signed(credential=replace(KEY, session_token="unexpected"))) == invalid


def tampered() -> list[tuple[str, Any]]:
    other_day = (b"/20260102/", b"/20260103/")
    return [
        ("method", lambda r: replace(r, method=b"PUT")),
        ("path", lambda r: replace(r, path=b"/other")),
        ("query", lambda r: replace(r, query=b"a=1")),
        ("body", lambda r: replace(r, body=r.body + b" ")),
        ("host", lambda r: replace(r, headers={**r.headers, b"host": b"elsewhere"})),
        ("target", lambda r: replace(r, headers={**r.headers, b"x-amz-target": b"DynamoDB_20120810.DeleteTable"})),
        ("date", lambda r: replace(r, headers={**r.headers, b"x-amz-date": b"20260102T030406Z"})),
        ("header removed", lambda r: replace(r, headers={k: v for k, v in r.headers.items() if k != b"content-type"})),
        ("signature", lambda r: replace(r, headers={**r.headers, b"authorization": r.headers[b"authorization"][:-1]})),
        ("signature not ASCII", lambda r: edited(r, b"Signature=", b"Signature=\xff")),
        ("region", lambda r: edited(r, b"/eu-central-1/", b"/us-east-1/")),
        ("service", lambda r: edited(r, b"/dynamodb/", b"/lambda/")),
        ("day", lambda r: edited(r, *other_day)),
        ("access key", lambda r: edited(r, b"AKIAEXAMPLE", b"ASIAEXAMPLE")),
        ("signed headers", lambda r: edited(r, b"content-type;", b"")),
        ("stated hash", lambda r: replace(r, headers={**r.headers, b"x-amz-content-sha256": b"0" * 64})),
    ]


@pytest.mark.parametrize(("part", "change"), tampered(), ids=[name for name, _ in tampered()])
def test_tampering_with_any_part_is_noticed(part: str, change: Any) -> None:
    request = signed()
    warm = verifier()
    warm.verify(request, NOW_MS, None)
    for one in (warm, verifier()):
        with pytest.raises(ApiError) as caught:
            one.verify(change(request), NOW_MS, None)
        assert caught.value.code == "InvalidSignatureException"
    assert warm.verify(request, NOW_MS, None) == SIGNER


def test_tampering_with_a_presigned_request_is_noticed() -> None:
    request = presigned()
    for change in (
        lambda r: replace(r, method=b"GET"),
        lambda r: replace(r, body=b"x"),
        lambda r: replace(r, query=r.query.replace(b"X-Amz-Expires=3600", b"X-Amz-Expires=3601")),
        lambda r: replace(r, query=r.query + b"&x=1"),
        lambda r: replace(r, headers={**r.headers, b"host": b"elsewhere"}),
        lambda r: replace(r, headers={**r.headers, b"x-amz-target": b"DynamoDB_20120810.DeleteTable"}),
    ):
        assert refused(change(request))[0] == "InvalidSignatureException"
    assert verifier().verify(request, NOW_MS) == SIGNER


def test_the_signature_must_cover_the_operation() -> None:
    request = signed(headers={"Content-Type": "application/x-amz-json-1.0"})
    request.headers[b"x-amz-target"] = b"DynamoDB_20120810.DeleteTable"
    assert refused(request)[1] == "'X-Amz-Target' must be a 'SignedHeader' in the AWS Authorization."


def test_a_presigned_request_is_good_until_it_expires() -> None:
    request = presigned(expires=7 * 24 * 3600)
    assert verifier().verify(request, NOW_MS + 7 * 24 * 3600 * 1000) == SIGNER
    assert refused(request, NOW_MS + 7 * 24 * 3600 * 1000 + 1000) == (
        "InvalidSignatureException",
        "Signature expired: 20260102T030405Z is now earlier than 20260102T030406Z (20260109T030406Z - 10080 min.)",
    )


def test_a_presigned_request_carries_its_session_token() -> None:
    assert verifier().verify(presigned(credential=TEMPORARY), NOW_MS).access_key == "ASIAEXAMPLE"
    assert refused(presigned(credential=replace(TEMPORARY, session_token="x")))[0] == "UnrecognizedClientException"


@pytest.mark.parametrize(
    ("expires", "message"),
    [
        (b"soon", "X-Amz-Expires should be a number"),
        (b"-1", "X-Amz-Expires must be non-negative"),
        (
            b"604801",
            "X-Amz-Expires must be less than a week (in seconds); "
            "that is, the given X-Amz-Expires must be less than 604800 seconds",
        ),
    ],
)
def test_a_presigned_request_has_a_sensible_lifetime(expires: bytes, message: str) -> None:
    request = presigned()
    request.query = request.query.replace(b"X-Amz-Expires=3600", b"X-Amz-Expires=" + expires)
    assert refused(request) == ("IncompleteSignatureException", message)


def test_a_signature_is_good_for_fifteen_minutes_each_way() -> None:
    request = signed()
    warm = verifier()
    for now_ms in (NOW_MS, NOW_MS - 15 * MINUTE_MS, NOW_MS + 15 * MINUTE_MS):
        assert warm.verify(request, now_ms) == SIGNER
    assert refused(request, NOW_MS + 15 * MINUTE_MS + 1000) == (
        "InvalidSignatureException",
        "Signature expired: 20260102T030405Z is now earlier than 20260102T030406Z (20260102T031906Z - 15 min.)",
    )
    assert refused(request, NOW_MS - 15 * MINUTE_MS - 1000) == (
        "InvalidSignatureException",
        "Signature not yet current: 20260102T030405Z is still later than 20260102T030404Z (20260102T024904Z + 15 min.)",
    )


def test_other_requests_of_the_same_second_are_verified_too() -> None:
    warm = verifier()
    for body in (BODY, b"{}"):
        for url in ("http://localhost:8000/", "http://localhost:8000/other?a=1"):
            for _ in range(2):
                assert warm.verify(signed(url, body=body), NOW_MS, "dynamodb") == SIGNER
    spaced = signed(headers={**HEADERS, "X-Amz-Meta": "a  b"})
    for _ in range(2):
        assert warm.verify(spaced, NOW_MS, "dynamodb") == SIGNER


def test_a_warm_verifier_forgets_neither_age_nor_service() -> None:
    request, warm = signed(), verifier()
    warm.verify(request, NOW_MS, "dynamodb")
    with pytest.raises(ApiError, match="Signature expired"):
        warm.verify(request, NOW_MS + 16 * MINUTE_MS, "dynamodb")
    with pytest.raises(ApiError, match="correct service: 'lambda'"):
        warm.verify(request, NOW_MS, "lambda")


def test_a_deleted_or_changed_credential_is_refused_at_once() -> None:
    known = {KEY.access_key: KEY}
    warm, request = Verifier(known.get), signed()
    warm.verify(request, NOW_MS)
    known[KEY.access_key] = replace(KEY, secret="another")
    with pytest.raises(ApiError, match="InvalidSignature"):
        warm.verify(request, NOW_MS)
    del known[KEY.access_key]
    with pytest.raises(ApiError, match="UnrecognizedClient"):
        warm.verify(request, NOW_MS)


def test_a_day_that_ends_ends_its_signing_key(monkeypatch: pytest.MonkeyPatch) -> None:
    warm = verifier()
    assert warm.verify(signed(), NOW_MS) == SIGNER
    tomorrow_ms = NOW_MS + 24 * 60 * MINUTE_MS
    at(monkeypatch, tomorrow_ms)
    assert warm.verify(signed(), tomorrow_ms) == SIGNER


def test_the_date_header_serves_where_there_is_no_other() -> None:
    keys = botocore.credentials.Credentials(KEY.access_key, KEY.secret)
    request = AWSRequest("POST", "http://localhost:8000/", data=BODY, headers=HEADERS)
    signer = botocore.auth.SigV4Auth(keys, "dynamodb", "eu-central-1")
    request.headers["Date"] = formatdate(NOW_MS / 1000, usegmt=True)
    request.context["timestamp"] = "20260102T030405Z"
    text = signer.string_to_sign(request, signer.canonical_request(request))
    signer._inject_signature_to_request(request, signer.signature(text, request))
    assert verifier().verify(sent(request, BODY), NOW_MS) == SIGNER


AUTHORIZATION = b"AWS4-HMAC-SHA256 Credential=AKIAEXAMPLE/20260102/eu-central-1/dynamodb/aws4_request, "


@pytest.mark.parametrize(
    ("headers", "query", "code", "message"),
    [
        ({}, b"", "MissingAuthenticationTokenException", "Request is missing Authentication Token"),
        (
            {b"authorization": b"Bearer x"},
            b"",
            "MissingAuthenticationTokenException",
            "Request is missing Authentication Token",
        ),
        (
            {b"authorization": b"AWS4-"},
            b"X-Amz-Algorithm=AWS4-HMAC-SHA256",
            "InvalidSignatureException",
            "Found both 'X-Amz-Algorithm' as a query-string param and 'Authorization' as HTTP header.",
        ),
        (
            {b"authorization": b"AWS4-HMAC-SHA256 Signature=b,    Credential,    SignedHeaders"},
            b"",
            "IncompleteSignatureException",
            "'Credential' not a valid key=value pair (missing equal-sign) in Authorization header: "
            "'AWS4-HMAC-SHA256 Signature=b,    Credential,    SignedHeaders'.",
        ),
        (
            {b"authorization": b"AWS4-HMAC-SHA256 Signature=b"},
            b"",
            "IncompleteSignatureException",
            "Authorization header requires 'Credential' parameter. "
            "Authorization header requires 'SignedHeaders' parameter. "
            "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header. "
            "Authorization=AWS4-HMAC-SHA256 Signature=b",
        ),
        (
            {b"authorization": AUTHORIZATION + b"SignedHeaders=host, Signature=b", b"x-amz-date": b"201"},
            b"",
            "IncompleteSignatureException",
            "Date must be in ISO-8601 'basic format'. Got '201'. See http://en.wikipedia.org/wiki/ISO_8601",
        ),
        (
            {b"authorization": AUTHORIZATION + b"SignedHeaders=host, Signature=b", b"x-amz-date": b"20269902T030405Z"},
            b"",
            "IncompleteSignatureException",
            "Date must be in ISO-8601 'basic format'. Got '20269902T030405Z'. "
            "See http://en.wikipedia.org/wiki/ISO_8601",
        ),
        (
            {
                b"authorization": AUTHORIZATION + b"SignedHeaders=host, Signature=b",
                b"date": b"Mon, 01 Jan 2024 00:00:00 +9999999999999999",
            },
            b"",
            "IncompleteSignatureException",
            "Date must be in ISO-8601 'basic format'. Got 'Mon, 01 Jan 2024 00:00:00 +9999999999999999'. "
            "See http://en.wikipedia.org/wiki/ISO_8601",
        ),
        (
            {},
            b"X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Date=x",
            "IncompleteSignatureException",
            "AWS query-string parameters must include 'X-Amz-Credential'. "
            "AWS query-string parameters must include 'X-Amz-Signature'. "
            "AWS query-string parameters must include 'X-Amz-SignedHeaders'. "
            "Re-examine the query-string parameters.",
        ),
    ],
)
def test_missing_parts_of_a_signature_are_named(
    headers: dict[bytes, bytes], query: bytes, code: str, message: str
) -> None:
    assert refused(Request(headers=headers, query=query)) == (code, message)


@pytest.mark.parametrize(
    ("old", "new", "code", "message"),
    [
        (
            b"host;",
            b"",
            "InvalidSignatureException",
            "'Host' must be a 'SignedHeader' in the AWS Authorization.",
        ),
        (
            b"AWS4-HMAC-SHA256",
            b"AWS4-HMAC-SHA25",
            "IncompleteSignatureException",
            "Unsupported AWS 'algorithm': 'AWS4-HMAC-SHA25' (only AWS4-HMAC-SHA256 for now). ",
        ),
        (
            b"AKIAEXAMPLE/20260102/eu-central-1/dynamodb/aws4_request",
            b"a/b/c/d",
            "IncompleteSignatureException",
            "Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term, "
            "got 'a/b/c/d'",
        ),
        (
            b"AKIAEXAMPLE/20260102/eu-central-1/dynamodb/aws4_request",
            b"a/b/C/d/e",
            "InvalidSignatureException",
            "Credential should be scoped to a valid region, not 'C'. "
            "Credential should be scoped to correct service: 'dynamodb'. "
            "Credential should be scoped with a valid terminator: 'aws4_request', not 'e'. "
            "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: "
            "'b' != '20260102', from '20260102T030405Z'.",
        ),
        (
            b"AKIAEXAMPLE",
            b"AKIAUNKNOWN",
            "UnrecognizedClientException",
            "The security token included in the request is invalid.",
        ),
    ],
)
def test_invalid_parts_of_a_signature_are_named(old: bytes, new: bytes, code: str, message: str) -> None:
    assert refused(edited(signed(), old, new)) == (code, message)


def test_the_error_for_a_wrong_signature_shows_the_string_to_sign() -> None:
    body_hash = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    request = edited(signed(body=b"", headers={}), b"Signature=", b"Signature=0")
    code, message = refused(request)
    assert code == "InvalidSignatureException"
    assert message.startswith(
        "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access "
        "Key and signing method. Consult the service documentation for details.\n\n"
        "The Canonical String for this request should have been\n"
        f"'POST\n/\n\nhost:localhost:8000\nx-amz-date:20260102T030405Z\n\nhost;x-amz-date\n{body_hash}'\n\n"
        "The String-to-Sign should have been\n"
        "'AWS4-HMAC-SHA256\n20260102T030405Z\n20260102/eu-central-1/dynamodb/aws4_request\n"
    )
    assert message.endswith("'\n")


def test_parameters_may_stand_in_any_order() -> None:
    request = signed()
    algorithm, _, rest = request.headers[b"authorization"].partition(b" ")
    reordered = b",".join(reversed(rest.split(b", ")))
    request.headers[b"authorization"] = algorithm + b" " + reordered
    one = verifier()
    assert one.verify(request, NOW_MS) == one.verify(request, NOW_MS) == SIGNER


def test_a_claim_is_read_without_proof() -> None:
    assert claimed(signed().headers[b"authorization"]) == SIGNER._replace(admin=True)
    assert claimed(b"AWS4-HMAC-SHA256 Credential=a/b/../d/e") is None
    assert claimed(b"Basic x") is None


def test_paths_are_normalised() -> None:
    assert normal_path(b"/a//b/./c/../d/") == b"/a/b/d/"
    assert normal_path(b"/../..") == b"/"
    assert normal_path(b"") == b"/"


def test_queries_are_sorted_and_encoded() -> None:
    assert canonical_query(b"b=%c3%bc&a=2&a=1&&c") == b"a=1&a=2&b=%C3%BC&c="


texts = st.binary(max_size=40)


@settings(max_examples=200)
@given(authorization=texts, query=texts, date=texts, valid=st.booleans())
def test_nonsense_is_refused_and_never_crashes(authorization: bytes, query: bytes, date: bytes, valid: bool) -> None:
    headers = {b"authorization": (b"AWS4-HMAC-SHA256 " if valid else b"") + authorization, b"x-amz-date": date}
    refused(Request(query=query, headers=headers))
    names = b"&X-Amz-Algorithm=%s&X-Amz-Credential=a&X-Amz-Signature=b&X-Amz-SignedHeaders=host&X-Amz-Date=%s"
    refused(Request(query=query + names % (authorization, date)))
