"""What the operations on exports, imports and bulk operations share: tokens of requests, errors for ARNs, pages."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

from atoll import arns, limits
from atoll.database.region import Region
from atoll.errors import ApiError
from atoll.errors import backups as backup_errors
from atoll.transfer.jobs import Job

_TOKEN_WORD = 16
_TOKEN_CHARS = 112
"""The least number of hexadecimal digits of a token, as the error text has it."""

J = TypeVar("J", bound=Job)


def begun_with(jobs: Iterable[J], token: str | None) -> J | None:
    """The job that an earlier request with the token began."""
    return None if token is None else next((job for job in jobs if job.token == token), None)


def tokens_since_ms(now_ms: int) -> int:
    """Jobs that began earlier have forgotten the token of their request."""
    return now_ms - limits.EXPORT_TOKEN_MS + 1


def kept_since_ms(now_ms: int) -> int:
    """Jobs that began earlier are not listed."""
    return now_ms - limits.EXPORTS_KEPT_MS + 1


def no_job(region: Region, kind: str, text: str) -> ApiError:
    """The error for an ARN that names no export or import; `kind` is Export or Import."""
    arn = arns.parse(text)
    if arn is None or f"/{kind.lower()}/" not in arn.resource:
        return backup_errors.job_arn_invalid(kind)
    if arn.account != region.settings.account:
        return backup_errors.job_denied()
    if arn.region != region.name:
        return backup_errors.job_elsewhere(kind)
    return backup_errors.job_not_found(kind, text)


def check_list(region: Region, body: dict[str, Any]) -> None:
    table = body.get("TableArn")
    arn = None if table is None else arns.parse(table)
    if table is not None and arn is None:
        raise backup_errors.table_arn_invalid()
    if arn is not None and arn.account != region.settings.account:
        raise backup_errors.job_denied()


def page(
    jobs: Sequence[J], token: str | None, most: int | None, token_of: Callable[[str], str]
) -> tuple[Sequence[J], dict[str, Any]]:
    """The jobs of the page behind the token, the latest first, and the answer's NextToken if there are more. `jobs` are
    all of them, the earliest first; `token_of` makes the token of an id."""
    found, most = jobs[::-1], most or limits.EXPORTS_LISTED
    if token is not None:
        tokens = [token_of(job.id) for job in found]
        if token not in tokens:
            raise backup_errors.next_token_invalid(token)
        found = found[tokens.index(token) + 1 :]
    return found[:most], {"NextToken": token_of(found[most - 1].id)} if len(found) > most else {}


def padded_token(id_: str) -> str:
    """The token, padded to the form of the service's tokens of imports and bulk operations."""
    digits = id_.encode().hex()
    return digits.ljust(max(_TOKEN_CHARS, -(-len(digits) // _TOKEN_WORD) * _TOKEN_WORD), "0")
