"""Decide which requests that a browser may have sent are served, by the page's origin and the host name in the URL.
Pure.

A browser allows any page to send requests to a server on its machine or network; the header `Origin` has the page's
origin. A page may also use a host name of its own domain that resolves to this server (DNS rebinding). Such requests
have no foreign origin, but their `Host` is that name.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from ipaddress import ip_address

from atoll.errors import ApiError, auth

ANY = b"*"
LOCAL_ORIGIN = re.compile(rb"https?://(localhost|127\.0\.0\.1|\[::1\])(:[0-9]{1,5})?")
DOCKER_HOST = "host.docker.internal"

_KNOWN = 256
"""Maximum number of host names whose check is cached."""


class Browsers:
    """The rules. `origins` are allowed besides those of this machine; `*` allows all. `hosts` are allowed host names,
    besides those that no page can point at this server; None disables the check of `Host`."""

    def __init__(self, origins: Iterable[str] = (), hosts: Iterable[str] | None = None) -> None:
        self._origins = {origin.encode() for origin in origins}
        self._hosts = None if hosts is None else {_normal(host) for host in hosts}
        self.known_hosts: set[bytes | None] = {None}
        """Values of `Host` that passed the check. A request without one is not a browser's."""
        self.checks_hosts = hosts is not None

    def refusal(self, headers: Mapping[bytes, bytes]) -> ApiError | None:
        """The error if the request is not allowed."""
        host, origin = headers.get(b"host"), headers.get(b"origin")
        if self._hosts is not None and host is not None and host not in self.known_hosts:
            name = host.decode("latin-1")
            if not _is_local(_normal(name), self._hosts):
                return auth.unknown_host(name)
            if len(self.known_hosts) < _KNOWN:
                self.known_hosts.add(host)
        if origin is not None and not self._allows(origin):
            return auth.page_of_another_origin(origin.decode("latin-1"))
        return None

    def _allows(self, origin: bytes) -> bool:
        return ANY in self._origins or origin in self._origins or LOCAL_ORIGIN.fullmatch(origin) is not None


def _normal(host: str) -> str:
    return re.sub(r":[0-9]*$", "", host.lower()).removesuffix(".")


def _is_local(host: str, more: set[str]) -> bool:
    if host in more or host == DOCKER_HOST or host.endswith(".localhost"):
        return True
    try:
        ip_address(host[1:-1] if host[:1] + host[-1:] == "[]" else host)
    except ValueError:
        return "." not in host and ":" not in host  # localhost, or a name that only the local network resolves
    return True
