"""Idempotency tokens: a transaction sent again with its token within ten minutes is answered, not repeated.

A token is stored in its own transaction, so it exists exactly if that transaction was committed.
"""

from __future__ import annotations

from dataclasses import dataclass

from atoll import limits
from atoll.clock import Stamp
from atoll.database import format as fmt
from atoll.database.region import Region
from atoll.database.schema import dump, load
from atoll.errors import multi as multi_errors
from atoll.storage.engine import Transaction

FORGET_ROWS = 500


@dataclass(frozen=True)
class Token:
    fingerprint: str
    """A digest of the request; the same token with another request is refused."""
    used_ms: int


def claim(tx: Transaction, token: str, fingerprint: str, now_ms: int) -> bool:
    """Store the token; return whether the transaction still has to run."""
    key = fmt.token_key(token)
    stored = tx.get(key)
    if stored is not None:
        earlier: Token = load(Token, stored)
        if now_ms < earlier.used_ms + limits.TRANSACTION_TOKEN_MS:
            if earlier.fingerprint != fingerprint:
                raise multi_errors.token_mismatch()
            return False
    tx.put(key, dump(Token(fingerprint, now_ms)))
    tx.put(fmt.token_expiry_key(now_ms + limits.TRANSACTION_TOKEN_MS, token), key)
    return True


def forget(tx: Transaction, region: Region, stamp: Stamp) -> int | None:
    """Step: delete expired tokens, in the order of their expiry."""
    now_ms = stamp.now_ms
    expiries = list(tx.scan(*fmt.TOKEN_EXPIRIES, limit=FORGET_ROWS))
    due = [(key, stored) for key, stored in expiries if fmt.parse_token_expiry(key) <= now_ms]
    rows = tx.get_many([stored for _, stored in due])
    for (key, stored), row in zip(due, rows, strict=True):
        over_ms = fmt.parse_token_expiry(key)
        token: Token | None = None if row is None else load(Token, row)
        if token is not None and token.used_ms + limits.TRANSACTION_TOKEN_MS == over_ms:
            tx.delete(stored)
        tx.delete(key)
    if len(due) < len(expiries):
        return fmt.parse_token_expiry(expiries[len(due)][0])
    return now_ms if len(expiries) == FORGET_ROWS else None
