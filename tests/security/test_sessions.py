"""Session tokens: made by one process, read by another; not by a server with another key, nor after they expired."""

from __future__ import annotations

from dataclasses import asdict
from functools import partial
from pathlib import Path

import pytest

from atoll.errors import ApiError
from atoll.security.identities import Declared, Identities
from atoll.security.sessions import BadKey, BadToken, Session, Tokens, load_key

DECLARED = {
    "users": {"ann": {"access_keys": {"AKIA": "s"}}},
    "roles": {"ops": {"trust": {"Statement": {"Effect": "Allow", "Principal": "*", "Action": "sts:AssumeRole"}}}},
}
SESSION = Session("ASIAX", "000000000000", "ops", "s1", 1_000, 4_600, tags={"team": "red"}, transitive=("team",))


def tokens(path: Path) -> Tokens:
    return Tokens(partial(load_key, path))


def test_processes_with_one_key_read_each_others_tokens(tmp_path: Path) -> None:
    one, other = tokens(tmp_path / "key"), tokens(tmp_path / "key")
    found = other.read(one.token(SESSION).encode())
    assert asdict(found) == asdict(SESSION)
    assert one.secret("ASIAX") == other.secret("ASIAX") != other.secret("ASIAY")
    assert (tmp_path / "key").stat().st_mode & 0o077 == 0


def test_another_key_reads_nothing(tmp_path: Path) -> None:
    token = tokens(tmp_path / "one").token(SESSION).encode()
    for text in (token, token[:-4], b"", b"\xff" * 40, b"A" * 7_000, b"AAAA"):
        with pytest.raises(BadToken):
            tokens(tmp_path / "other").read(text)


def test_a_file_without_a_key(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("short")
    with pytest.raises(BadKey, match="at least 32 bytes"):
        load_key(tmp_path / "key")


def test_a_session_ends(tmp_path: Path) -> None:
    identities = Identities(None, Declared((), "000000000000", DECLARED), tokens(tmp_path / "key"))
    token = identities.tokens.token(SESSION).encode()
    assert identities.temporary("ASIAX", token, 4_599_000) is not None
    access = identities.access("ASIAX")
    assert access is not None
    assert access.principal.arn == "arn:aws:sts::000000000000:assumed-role/ops/s1"
    assert access.principal.tags == {"team": "red"}
    assert identities.temporary("ASIAY", token, 4_599_000) is None
    with pytest.raises(ApiError, match="ExpiredTokenException"):
        identities.temporary("ASIAX", token, 4_600_000)


def test_a_session_of_a_deleted_role_is_invalid(tmp_path: Path) -> None:
    made = Identities(None, Declared((), "000000000000", DECLARED), tokens(tmp_path / "key"))
    token = made.tokens.token(SESSION).encode()
    later = Identities(None, Declared((), "000000000000", {}), tokens(tmp_path / "key"))
    assert later.temporary("ASIAX", token, 2_000_000) is None
