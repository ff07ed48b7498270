"""Find the endpoint that a command calls: its URL, region and credentials.

The URL comes from --endpoint-url, AWS_ENDPOINT_URL_DYNAMODB, AWS_ENDPOINT_URL or the profile; otherwise it is that of
an Atoll on this machine. A command calls the service itself only if the user names it, by `aws` or a region. So a
command without options never reaches production by accident.
"""

from __future__ import annotations

import os
import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from urllib.parse import urlsplit

from atoll.client import credentials
from atoll.client.failures import Misconfigured
from atoll.client.profiles import Profile

DEFAULT_URL = "http://127.0.0.1:8000"
DEFAULT_REGION = "us-east-1"
AWS = "aws"
"""The endpoint that means the service, in the configured region."""

_REGION = re.compile(r"[a-z]{2,}(-[a-z]+)+-[0-9]+", re.ASCII)
_URL = re.compile(r"https?://[^\s?#]+", re.ASCII | re.IGNORECASE)

_DOMAINS = {
    "cn-": "amazonaws.com.cn",
    "eu-isoe-": "cloud.adc-e.uk",
    "eusc-": "amazonaws.eu",
    "us-iso-": "c2s.ic.gov",
    "us-isob-": "sc2s.sgov.gov",
    "us-isof-": "csp.hci.ic.gov",
}
"""The service's domain by the region's prefix, where it is not amazonaws.com."""


@dataclass(frozen=True)
class Location:
    """Where tables are: an endpoint and a region."""

    url: str
    """One of "" means the service."""
    region: str


@dataclass(frozen=True)
class Endpoint:
    url: str
    streams_url: str
    region: str
    credentials: credentials.CredentialSource
    tls: ssl.SSLContext | None = None

    @property
    def local(self) -> bool:
        return is_local(self.url)


def resolve(
    place: str = "",
    region: str = "",
    profile: str = "",
    *,
    streams_url: str = "",
    ca_bundle: str = "",
    environment: Mapping[str, str] = os.environ,
) -> Endpoint:
    """Find an endpoint. `place` is a URL, a region of the service, `aws`, or "" for the environment's. Raises
    Misconfigured."""
    chosen = Profile(environment, profile)
    found = _located(place, region, chosen, environment)
    if found.url:
        urls = found.url, _checked(streams_url or environment.get("AWS_ENDPOINT_URL_DYNAMODB_STREAMS") or found.url)
    else:
        domain = _domain(found.region)
        urls = f"https://dynamodb.{found.region}.{domain}", f"https://streams.dynamodb.{found.region}.{domain}"
    keys = credentials.find(environment, chosen, named=profile, local=is_local(urls[0]))
    tls = _tls(ca_bundle, chosen, environment) if any(url.startswith("https") for url in urls) else None
    return Endpoint(*urls, found.region, keys, tls)


def locate(
    place: str = "", region: str = "", profile: str = "", *, environment: Mapping[str, str] = os.environ
) -> Location:
    """Like `resolve`, but without credentials."""
    return _located(place, region, Profile(environment, profile), environment)


def server(
    place: str = "", *, ca_bundle: str = "", environment: Mapping[str, str] = os.environ
) -> tuple[str, ssl.SSLContext | None]:
    """The URL of a server to administer, and the TLS context if it is https. Raises Misconfigured."""
    chosen = Profile(environment)
    url = _located(place, "", chosen, environment).url
    if not url:
        raise Misconfigured("AWS has no administration of Atoll: give the URL of an Atoll server with --endpoint-url")
    return url, _tls(ca_bundle, chosen, environment) if url.startswith("https") else None


def _located(place: str, region: str, chosen: Profile, environment: Mapping[str, str]) -> Location:
    place = place or _configured(environment, chosen)
    if _REGION.fullmatch(place):
        region, place = place, AWS
    region = (
        region
        or environment.get("AWS_REGION")
        or environment.get("AWS_DEFAULT_REGION")
        or chosen.values.get("region")
        or DEFAULT_REGION
    )
    if re.fullmatch(r"[a-z0-9-]{1,64}", region, re.ASCII) is None:
        raise Misconfigured(f"{region!r} is not a region name such as eu-west-1")
    return Location("" if place == AWS else _checked(place), region)


def _configured(environment: Mapping[str, str], profile: Profile) -> str:
    if environment.get("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "").lower() == "true":
        return DEFAULT_URL
    return (
        environment.get("AWS_ENDPOINT_URL_DYNAMODB")
        or environment.get("AWS_ENDPOINT_URL")
        or profile.endpoint("dynamodb")
        or DEFAULT_URL
    )


def _checked(url: str) -> str:
    try:
        parts = urlsplit(url)
        if "@" in parts.netloc:  # the URL is not shown, since it has a password
            raise Misconfigured(
                "the URL of an endpoint cannot have a user name and password: set an access key instead"
            )
        if _URL.fullmatch(url) and parts.hostname and parts.port != 0:
            return url.rstrip("/")
    except ValueError:  # the port is no number
        pass
    raise Misconfigured(
        f"{url!r} is not an endpoint: give a URL such as {DEFAULT_URL}, a region of the service, or {AWS}"
    )


def is_local(url: str) -> bool:
    """Whether the URL names this machine."""
    host = urlsplit(url).hostname or ""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _domain(region: str) -> str:
    return next((domain for prefix, domain in _DOMAINS.items() if region.startswith(prefix)), "amazonaws.com")


def _tls(bundle: str, chosen: Profile, environment: Mapping[str, str]) -> ssl.SSLContext:
    """A TLS context that trusts the certificate authorities of the file, or else of the system."""
    bundle = bundle or environment.get("AWS_CA_BUNDLE") or chosen.values.get("ca_bundle", "")
    try:
        return ssl.create_default_context(cafile=bundle or None)
    except OSError as error:
        raise Misconfigured(f"the CA bundle {bundle}: {error}") from None
