"""Handle calls in protocols other than JSON: Smithy's RPC v2 with CBOR, and the query protocol (CloudWatch uses both).

    POST /service/GraniteServiceVersion20100801/operation/<Operation>     a CBOR map
    POST /                                                                a form with Action and Version

JSON calls of the same services have an `X-Amz-Target` and take the gateway's usual path; this module only adds a header
to their errors. Errors use the protocol of the request, even for a service that Atoll lacks: `AWS_ENDPOINT_URL` may
direct such a client here, and a person should see the text.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any
from xml.sax.saxutils import escape

import orjson

from atoll.api import large
from atoll.api.call import Call, Caller
from atoll.api.service_model import Model, model
from atoll.api.services import OPERATIONS, STS, Body, Operation, Protocol, Service
from atoll.aside import aside
from atoll.errors import CORAL, ApiError, auth
from atoll.errors import services as service_errors
from atoll.wire import cbor, compression, query
from atoll.wire.codec import Request, Response, error_body

CBOR_PREFIX = "/service/"
UNSIGNED = ""
"""Instead of a service's name: requests of this operation have no signature."""

_UNSIGNED = frozenset({(STS, "AssumeRoleWithWebIdentity")})
# The codes that errors of signatures have in the query protocol, and their status.
_QUERY_CODES = {
    "InvalidSignatureException": ("SignatureDoesNotMatch", 403),
    "UnrecognizedClientException": ("InvalidClientTokenId", 403),
    "ExpiredTokenException": ("ExpiredToken", 403),
    "MissingAuthenticationTokenException": ("MissingAuthenticationToken", 403),
    "IncompleteSignatureException": ("IncompleteSignature", 403),
}

_FORM = b"application/x-www-form-urlencoded"
_PATH = re.compile(rb"/service/([A-Za-z0-9_.]{1,100})/operation/([A-Za-z0-9_]{1,100})").fullmatch
_NAME = re.compile(r"[A-Za-z0-9_.-]{1,100}").fullmatch
# They begin with a literal, for which the library searches fast.
_VERSION = re.compile(rb"&Version=([0-9-]{1,20})(?:&|$)").search
_ACTION = re.compile(rb"&Action=([A-Za-z]{1,100})(?:&|$)").search
_SIGNED_FOR = re.compile(rb"Credential=[^/,\s]{0,128}/[^/,\s]{0,64}/[^/,\s]{0,64}/([a-z0-9-]{1,64})/")

BYTES = 1024 * 1024
"""Requests of these services are no larger."""

_INLINE_BYTES = 32 * 1024
"""A body of more bytes is decoded in a thread."""


def is_form(request: Request) -> bool:
    """Whether the body is a form of the Query protocol, which names its operation itself. curl calls every body a form
    unless it is told otherwise, so a request with an operation in its header is not a form."""
    if b"x-amz-target" in request.headers:
        return False
    return request.headers.get(b"content-type", b"").partition(b";")[0].strip().lower() == _FORM


def _is_cbor(request: Request) -> bool:
    return request.path.startswith(CBOR_PREFIX.encode()) or b"smithy-protocol" in request.headers


class Calls:
    """The routes of both protocols. `next_id` returns the id of the next answer (`Encoder.next_id`)."""

    def __init__(self, call: Call, operations: Iterable[Operation], next_id: Callable[[], str]) -> None:
        self._call = call
        self._next_id = next_id
        self._paths: dict[tuple[str, str], Operation] = {}
        self._actions: dict[tuple[str, str], Operation] = {}
        self._versions: dict[str, Service] = {}
        for one in operations:
            service = one.service
            if Protocol.CBOR in service.protocols:
                self._paths[service.target, one.name] = one
            if Protocol.QUERY in service.protocols:
                self._versions[_model(service).version] = service
                self._actions[_model(service).version, one.name] = one

    async def answer(self, request: Request, caller: Caller, region: str, now_ms: int) -> Response:
        service: Service | None = None
        given: Body = {}
        try:
            body = await _inflated(request)
            operation, given = await self._decoded(request, body)
            service = operation.service
            # A form may name its operation twice, or in an encoding that `signed_for` does not read.
            if (self.signed_for(request) == UNSIGNED) != ((service, operation.name) in _UNSIGNED):
                raise auth.missing_token()
            answer = await self._call(operation, region, caller, given, now_ms)
            return await aside(self._answered, request, operation, answer)
        except ApiError as error:
            return self._refusal(request, error, service)
        finally:
            if isinstance(given, large.LargeBody):
                large.release(given)

    def signed_for(self, request: Request) -> str | None:
        """The service for which a request must be signed; None if any will do, as for one that Atoll lacks; `UNSIGNED`
        if it needs no signature."""
        if _is_cbor(request):
            found = _PATH(request.path)
            operation = None if found is None else self._paths.get((found[1].decode(), found[2].decode()))
            return None if operation is None else operation.service.signing_name
        if len(request.body) > BYTES:  # it will be refused
            return None
        form = b"&" + request.body
        found = _VERSION(form)
        service = None if found is None else self._versions.get(found[1].decode())
        action = _ACTION(form)
        if action is not None and (service, action[1].decode()) in _UNSIGNED:
            return UNSIGNED
        return None if service is None else service.signing_name

    def refusal(self, request: Request, error: ApiError) -> Response | None:
        """An error in the protocol of a request to these routes; None for other requests."""
        if request.method != b"POST" or not (_is_cbor(request) or (request.path == b"/" and is_form(request))):
            return None
        return self._refusal(request, error, None)

    async def _decoded(self, request: Request, body: bytes) -> tuple[Operation, Body]:
        decode = self._decode_cbor if _is_cbor(request) else self._decode_form
        if len(body) <= _INLINE_BYTES:
            return decode(request, body)
        operations = []

        def parse(body: bytes) -> large.LargeBody:
            operation, given = decode(request, body)
            operations.append(operation)
            return large.LargeBody(given)

        given = await large.parse(body, parse)
        return operations[0], given

    def _decode_cbor(self, request: Request, body: bytes) -> tuple[Operation, Body]:
        operation = self._of_path(request.path)
        return operation, cbor.decode(body)

    def _decode_form(self, request: Request, body: bytes) -> tuple[Operation, Body]:
        fields = query.parse(body)
        operation = self._of_form(request, fields)
        return operation, query.decode(_model(operation.service).input(operation.name), fields)

    def _of_path(self, path: bytes) -> Operation:
        found = _PATH(path)
        if found is None:
            raise service_errors.unserved("this path")
        service, name = found[1].decode(), found[2].decode()
        operation = self._paths.get((service, name))
        if operation is None:
            raise self._unserved(name, service, any(one == service for one, _ in self._paths))
        return operation

    def _of_form(self, request: Request, fields: dict[str, str]) -> Operation:
        action, version = fields.get("Action", ""), fields.get("Version", "")
        if _NAME(action) is None or _NAME(version) is None:
            raise service_errors.malformed("The request has no Action and no Version.")
        operation = self._actions.get((version, action))
        if operation is None:
            known = self._versions.get(version)
            raise self._unserved(action, signed_service(request) or version if known is None else known.name, known)
        return operation

    def _unserved(self, operation: str, service: str, known: object) -> ApiError:
        make = service_errors.unserved_operation if known else service_errors.unserved
        return make(f"{operation} of {service}")

    def _answered(self, request: Request, operation: Operation, answer: Any) -> Response:
        of = _model(operation.service)
        shape = of.output(operation.name)
        if _is_cbor(request):
            return _cbor(200, cbor.encode(shape, answer))
        body = query.answer(operation.name, shape, of.namespace, answer, self._next_id())
        return Response(200, body, "text/xml")

    def _refusal(self, request: Request, error: ApiError, service: Service | None) -> Response:
        if _is_cbor(request):
            headers = query_error(service, error) if service is not None else {}
            return _cbor(error.status, cbor.encode(None, orjson.loads(error_body(error))), headers)
        if error.prefix == CORAL and error.code in _QUERY_CODES:
            code, status = _QUERY_CODES[error.code]
            error = ApiError(code, error.message, status=status, prefix="")
        namespace = "" if service is None else _model(service).namespace
        body = query.error(namespace, query_code(service, error), error, self._next_id())
        return Response(error.status, body, "text/xml")


def _model(service: Service) -> Model:
    assert service.model is not None
    return model(service.model)


async def _inflated(request: Request) -> bytes:
    """The body of the request, decompressed."""
    body: bytes | None = request.body
    try:
        coding = compression.coding_of(request.headers.get(b"content-encoding", b""))
        if coding is not None:
            is_large = len(request.body) > _INLINE_BYTES
            inflate = compression.inflate
            body = (
                await aside(inflate, request.body, coding, BYTES) if is_large else inflate(request.body, coding, BYTES)
            )
    except compression.Undecodable as fault:
        raise service_errors.malformed(f"The request cannot be read: {fault}.") from None
    if body is None or len(body) > BYTES:
        raise service_errors.too_large()
    return body


def _cbor(status: int, body: bytes, headers: dict[str, str] | None = None) -> Response:
    return Response(status, body, "application/cbor", {"smithy-protocol": "rpc-v2-cbor", **(headers or {})})


def query_code(service: Service | None, error: ApiError) -> str:
    """The error's code in the query protocol."""
    return _model(service).errors.get(error.code, error.code) if service is not None else error.code


def query_error(service: Service, error: ApiError) -> dict[str, str]:
    """The header with the error's code in the query protocol, for clients written for that protocol."""
    if Protocol.QUERY not in service.protocols:
        return {}
    kind = "Sender" if error.status < 500 else "Receiver"
    return {"x-amzn-query-error": f"{query_code(service, error)};{kind}"}


def unserved_response(request: Request) -> Response | None:
    """The answer to a request that no route takes, if it is signed for a service that Atoll lacks."""
    service = signed_service(request)
    if service is None or any(service == one.service.signing_name for one in OPERATIONS):
        return None
    error = service_errors.unserved(service)
    if service in _XML:
        text = escape(error.message or "")
        return Response(
            404, f"<Error><Code>{error.code}</Code><Message>{text}</Message></Error>\n".encode(), "text/xml"
        )
    return Response(404, error_body(error), headers={"x-amzn-ErrorType": error.code})


_XML = frozenset({"s3", "s3express", "route53", "cloudfront"})
"""Services whose errors are XML."""


def signed_service(request: Request) -> str | None:
    """The name of the service for which a request claims to be signed."""
    found = _SIGNED_FOR.search(request.headers.get(b"authorization", b""))
    return None if found is None else found[1].decode()
