"""Find the access key that signs requests.

The environment's key comes first, unless the user names a profile; then the profile's. A profile may also name another
source of keys (a role, SSO, a program), and AWS gives keys to its machines. botocore fetches such keys, if it is
installed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from atoll.client.failures import Misconfigured
from atoll.client.profiles import Profile
from atoll.security.credentials import Credential

CredentialSource = Callable[[], Credential]
"""Called for each request, because fetched keys are renewed."""

PLACEHOLDER = Credential("atoll", "atoll")
"""A made-up key for servers on this machine, which often do not check signatures."""

_ELSEWHERE = (
    "role_arn",
    "sso_session",
    "sso_start_url",
    "credential_process",
    "web_identity_token_file",
    "login_session",
)


def find(environment: Mapping[str, str], profile: Profile, *, named: str, local: bool) -> CredentialSource:
    """`named` is the profile that the user asks for; `local` is whether the endpoint is on this machine."""
    static = (None if named else _static(environment, str.upper)) or _static(profile.values, str.lower)
    if static is not None:
        return _always(static)
    elsewhere = [name for name in _ELSEWHERE if name in profile.values]
    if local and not elsewhere:
        return _always(PLACEHOLDER)
    return _of_botocore(named, f"the profile {profile.name} has {elsewhere[0]}" if elsewhere else "")


def _always(credential: Credential) -> CredentialSource:
    return lambda: credential


def _static(values: Mapping[str, str], case: Callable[[str], str]) -> Credential | None:
    key, secret = values.get(case("aws_access_key_id")), values.get(case("aws_secret_access_key"))
    if not key and not secret:
        return None
    if not key or not secret:
        raise Misconfigured(f"set both {case('aws_access_key_id')} and {case('aws_secret_access_key')}, or neither")
    token = values.get(case("aws_session_token")) or None
    for name, value in (("aws_access_key_id", key), ("aws_session_token", token or "")):  # both appear in headers
        if not value.isascii() or not value.isprintable() or " " in value:
            raise Misconfigured(f"{case(name)} has a space, a line break or another invalid character")
    return Credential(key, secret, token)


def _of_botocore(named: str, reason: str) -> CredentialSource:
    try:
        import botocore.session
        from botocore.exceptions import BotoCoreError
    except ImportError:
        raise Misconfigured(
            f"{reason}, which needs an extra: pip install 'atoll[aws]'" if reason else
            "there are no credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or name a profile. "
            "(Roles of machines need an extra: pip install 'atoll[aws]')"
        ) from None  # fmt: skip
    try:
        found: Any = botocore.session.Session(profile=named or None).get_credentials()
    except BotoCoreError as error:
        raise Misconfigured(str(error)) from error
    if found is None:
        raise Misconfigured(
            "there are no credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or name a profile"
        )

    def current() -> Credential:
        try:
            keys = found.get_frozen_credentials()
        except BotoCoreError as error:
            raise Misconfigured(str(error)) from error
        return Credential(keys.access_key, keys.secret_key, keys.token)

    return current
