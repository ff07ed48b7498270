"""Idempotency tokens: a transaction that is sent again with its token within ten minutes is not executed again.

A token is stored in the transaction that it names, so it exists exactly if that transaction was committed.
"""

from __future__ import annotations

from dataclasses import dataclass

from atoll import limits
from atoll.database import due
from atoll.database import format as fmt
from atoll.database.records import dump, load
from atoll.database.region import Region
from atoll.errors import multi as multi_errors
from atoll.storage.engine import Transaction
from atoll.versions import Stamp


@dataclass(frozen=True)
class Token:
    fingerprint: str
    """A digest of the request; the same token with another request is refused."""
    used_ms: int


def claim(tx: Transaction, token: str, fingerprint: str, now_ms: int) -> bool:
    """Store the token; returns whether the transaction still has to run."""
    key = fmt.token_key(token)
    stored = tx.get(key)
    if stored is not None:
        earlier: Token = load(Token, stored)
        if now_ms < earlier.used_ms + limits.TRANSACTION_TOKEN_MS:
            if earlier.fingerprint != fingerprint:
                raise multi_errors.token_mismatch()
            return False
    tx.put(key, dump(Token(fingerprint, now_ms)))
    due.schedule(tx, now_ms + limits.TRANSACTION_TOKEN_MS, fmt.FORGET, fmt.subject_of(key))
    return True


def forget(tx: Transaction, region: Region, stamp: Stamp, subject: bytes) -> int | None:
    """Job: delete a token that has expired."""
    key = fmt.due_row(fmt.FORGET, subject)
    stored = tx.get(key)
    if stored is None:
        return None
    token: Token = load(Token, stored)
    expires_ms = token.used_ms + limits.TRANSACTION_TOKEN_MS
    if expires_ms > stamp.now_ms:  # it was used again since
        return expires_ms
    tx.delete(key)
    return None
