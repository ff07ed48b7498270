"""Decide which browser requests the console serves, and sign users in.

The console holds the credentials of its user, so no other web page may use it: `Host` is checked as the server does,
and `Origin`, where a browser sends one, must be the console's own. This covers the websocket too. The sign-in page asks
for a password, if one is set, and for a credential, if the endpoint requires signatures. Then a cookie names the
session, which is kept in memory only.
"""

from __future__ import annotations

import asyncio
import hmac
import secrets
from collections import OrderedDict
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from html import escape
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import parse_qs

from atoll.console.endpoint import UNSIGNED, CallFailed, Connection, Endpoint, Key, in_thread
from atoll.security.browsers import Browsers

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

COOKIE = "atoll_console"
SESSIONS = 1_000
FORM_BYTES = 20_000
WRONG_S = 1.0
"""The pause after a wrong password, for all attempts from the same address."""
DOWNLOAD = ".csv"
OPEN_PATHS = ("/sign-in", "/console-static/")

_SIGNATURE_ERRORS = {
    "UnrecognizedClientException", "InvalidSignatureException", "MissingAuthenticationToken", "SignatureDoesNotMatch",
    "MissingAuthenticationTokenException", "IncompleteSignature", "IncompleteSignatureException", "InvalidAccessKeyId",
    "InvalidClientTokenId", "ExpiredTokenException", "ExpiredToken",
}  # fmt: skip
_OTHER_SITES = (b"cross-site", b"same-site")
_HEADERS = [
    (b"x-frame-options", b"DENY"),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"same-origin"),
    # NiceGUI's pages have inline scripts, and Vue compiles the templates of components.
    (b"content-security-policy", b"default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; "
     b"style-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src 'self' data:; object-src 'none'; "
     b"base-uri 'none'; form-action 'self'; frame-ancestors 'none'"),
]  # fmt: skip


@dataclass(frozen=True)
class Visit:
    """The visitor of a page."""

    endpoint: Endpoint
    key: Key
    signed_in: bool

    def connection(self, region: str = "") -> Connection:
        return Connection(self.endpoint, self.key, region)


class Guard:
    def __init__(
        self, app: App, endpoint: Endpoint, browsers: Browsers, password: str = "", *, asks: bool = False
    ) -> None:
        self._app = app
        self._endpoint = endpoint
        self._browsers = browsers
        self._password = password.encode()
        self._asks = asks
        self._default: Key | None = None
        self._sessions: OrderedDict[str, Key | None] = OrderedDict()
        self._pausing: set[str] = set()
        """The addresses of the last wrong passwords."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            return await self._app(scope, receive, send)
        headers = dict(scope["headers"])
        refusal = self._refusal(headers, scope["path"])
        if refusal is not None:
            return await _refuse(scope, receive, send, 403, refusal)
        await self._endpoint.recognize()
        token = _cookie(headers)
        key = await self._key(token)
        if scope["path"] == "/sign-out" and scope["type"] == "http" and scope["method"] == "POST":
            self._sessions.pop(token, None)
            return await _redirect(send, "/sign-in")
        if scope["path"] == "/sign-in" and scope["type"] == "http":
            return await self._sign_in(scope, receive, send, token)
        if key is None and not scope["path"].startswith(OPEN_PATHS):
            if scope["type"] == "http" and scope["method"] == "GET" and b"text/html" in headers.get(b"accept", b""):
                return await _redirect(send, "/sign-in")
            return await _refuse(scope, receive, send, 401, "sign in first")
        scope["visit"] = Visit(self._endpoint, key or UNSIGNED, token in self._sessions)
        return await self._app(scope, receive, _with_headers(send))

    def _refusal(self, headers: dict[bytes, bytes], path: str) -> str | None:
        host, origin = headers.get(b"host", b""), headers.get(b"origin")
        refused = self._browsers.refusal({b"host": host})
        if refused is not None:
            return refused.message
        if origin is not None and origin not in (b"http://" + host, b"https://" + host):
            return "this request comes from another web page"
        # Links of other sites may open pages. Their images and frames may not: the requests would consume capacity
        # unnoticed.
        if headers.get(b"sec-fetch-site") in _OTHER_SITES and (
            headers.get(b"sec-fetch-dest") != b"document" or path.endswith(DOWNLOAD)
        ):
            return "this request comes from another web page"
        return None

    async def _key(self, token: str) -> Key | None:
        """The credential of a session, or the console's own; None if the visitor has to sign in."""
        if self._password and token not in self._sessions:
            return None
        if (given := self._sessions.get(token)) is not None:
            return given
        if self._default is None:
            self._default = await self._usable_key()
        elif self._default is not UNSIGNED:  # it may have to be renewed
            self._default = await in_thread(self._endpoint.own_key)
        return self._default

    async def _usable_key(self) -> Key | None:
        """The console's own credential, if the endpoint accepts it."""
        key = None if self._asks else await in_thread(self._endpoint.own_key)
        if self._endpoint.address.url is None:
            return key
        key = key or UNSIGNED
        return key if await self._accepts(key) else None

    async def _accepts(self, key: Key) -> bool:
        try:
            await Connection(self._endpoint, key).call("list_tables", Limit=1)
        except CallFailed as failure:
            return failure.code not in _SIGNATURE_ERRORS
        return True

    async def _sign_in(self, scope: Scope, receive: Receive, send: Send, token: str) -> None:
        if self._default is None:
            self._default = await self._usable_key()
        if self._default is not None and not self._password:  # nothing to ask for
            await _redirect(send, "/")
            return
        wrong = ""
        if scope["method"] == "POST":
            form = await _form(receive)
            wrong, key = await self._checked(form, (scope.get("client") or ("",))[0])
            if not wrong:
                self._sessions.pop(token, None)
                name = secrets.token_urlsafe(32)
                self._sessions[name] = key
                while len(self._sessions) > SESSIONS:
                    self._sessions.popitem(last=False)
                secure = "; Secure" if scope.get("scheme") == "https" else ""
                cookie = f"{COOKIE}={name}; Path=/; HttpOnly; SameSite=Strict{secure}"
                await _redirect(send, "/", [(b"set-cookie", cookie.encode())])
                return
        page = self._page(wrong).encode()
        await _answer(send, 403 if wrong else 200, page, b"text/html; charset=utf-8")

    async def _checked(self, form: dict[str, str], address: str) -> tuple[str, Key | None]:
        """The fault of the form, if any, and the credential in it."""
        if address in self._pausing:
            return "A password was wrong a moment ago. Try again in a second.", None
        if self._password and not hmac.compare_digest(form.get("password", "").encode(), self._password):
            self._pausing.add(address)
            try:
                await asyncio.sleep(WRONG_S)
            finally:
                self._pausing.discard(address)
            return "The password is wrong.", None
        if self._default is not None:
            return "", None
        key = Key(
            form.get("access_key", "").strip(), form.get("secret", "").strip(), form.get("token", "").strip() or None
        )
        if not key.access_key or not key.secret:
            return "Enter an access key and its secret.", None
        if not await self._accepts(key):
            return "The endpoint does not accept this credential.", None
        return "", key

    def _page(self, wrong: str) -> str:
        fields = _field("password", "Password", "password") if self._password else ""
        if self._default is None:
            fields += _field("access_key", "Access key id", "text") + _field("secret", "Secret access key", "password")
            fields += _field("token", "Session token, if it has one", "password", required=False)
        alert = f'<div class="callout bad" role="alert">{escape(wrong)}</div>' if wrong else ""
        return f"""<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Sign in · Atoll console</title>
<meta name="viewport" content="width=device-width, initial-scale=1"><script src="/console-static/theme.js"></script>
<link rel="icon" href="/console-static/icon.svg"><link rel="stylesheet" href="/console-static/console.css"></head>
<body class="plain"><main class="sign-in"><section><h1>Sign in</h1>
<p class="soft">Atoll console for <span class="mono">{escape(self._endpoint.address.shown)}</span></p>{alert}
<form method="post" action="/sign-in">{fields}<button class="primary" type="submit">Sign in</button></form>
</section></main></body></html>"""


def _field(name: str, label: str, kind: str, *, required: bool = True) -> str:
    return (f'<div class="field"><label for="{name}">{label}</label>'
            f'<input id="{name}" name="{name}" type="{kind}"{" required" if required else ""}></div>')  # fmt: skip


def _cookie(headers: dict[bytes, bytes]) -> str:
    try:
        found = SimpleCookie(headers.get(b"cookie", b"").decode("latin-1")).get(COOKIE)
    except CookieError:
        return ""
    return "" if found is None else found.value


async def _form(receive: Receive) -> dict[str, str]:
    body = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body") or len(body) > FORM_BYTES:
            return {name: values[-1] for name, values in parse_qs(body[:FORM_BYTES].decode("utf-8", "replace")).items()}


def _with_headers(send: Send) -> Send:
    async def with_headers(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message.get("headers", ()), *_HEADERS]
        await send(message)

    return with_headers


async def _refuse(scope: Scope, receive: Receive, send: Send, status: int, why: str) -> None:
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.close", "code": 1008, "reason": why})
    else:
        await _answer(send, status, f"{why}\n".encode(), b"text/plain; charset=utf-8")


async def _redirect(send: Send, place: str, headers: list[tuple[bytes, bytes]] | None = None) -> None:
    await _answer(send, 303, b"", b"text/plain", [(b"location", place.encode()), *(headers or [])])


async def _answer(
    send: Send, status: int, body: bytes, kind: bytes, more: list[tuple[bytes, bytes]] | None = None
) -> None:
    headers = [(b"content-type", kind), (b"content-length", str(len(body)).encode()), (b"cache-control", b"no-store")]
    await send({"type": "http.response.start", "status": status, "headers": [*headers, *_HEADERS, *(more or [])]})
    await send({"type": "http.response.body", "body": body})
