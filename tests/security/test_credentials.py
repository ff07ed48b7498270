"""A file of credentials that several processes share."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from atoll.security.credentials import BadCredentials, Credential, Credentials


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "credentials.json"


def test_no_file_means_no_credentials(path: Path) -> None:
    credentials = Credentials(path)
    assert credentials.list() == []
    assert credentials.get("AKIA") is None


def test_a_created_credential_looks_like_the_services_and_is_found_by_others(path: Path) -> None:
    created = Credentials(path).create(1_700_000_000_000, admin=True)
    assert created.access_key.startswith("AKIA")
    assert len(created.access_key) == 20
    assert len(created.secret) == 40
    assert Credentials(path).get(created.access_key) == created
    assert created.admin
    assert created.created_ms == 1_700_000_000_000


def test_credentials_of_peers_and_of_clients_are_apart(path: Path) -> None:
    credentials = Credentials(path)
    later, client, first = credentials.create(2, peer=True), credentials.create(3), credentials.create(1, peer=True)
    for one in (credentials, Credentials(path)):
        assert one.get(client.access_key) == client
        assert one.peer(client.access_key) is None
        assert one.get(first.access_key) is None
        assert one.peer(first.access_key) == first
        assert one.peers() == [first, later]
    credentials.delete(first.access_key)
    assert credentials.peer(first.access_key) is None


def test_a_file_without_kinds_is_one_of_clients(path: Path) -> None:
    """As versions before peers wrote it."""
    path.write_text('{"credentials": [{"access_key": "AKIA", "secret": "s", "admin": true, "created_ms": 5}]}')
    found = Credentials(path)
    assert found.get("AKIA") is not None
    assert found.peers() == []


def test_only_the_owner_may_read_the_file(path: Path) -> None:
    Credentials(path).create(0)
    assert path.stat().st_mode & 0o777 == 0o600
    Credentials(path).create(1)
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_change_by_another_process_is_seen_within_a_second(path: Path) -> None:
    reader, writer = Credentials(path), Credentials(path)
    reader.refresh(10_000)
    created = writer.create(10_000)
    reader.refresh(10_999)
    assert reader.get(created.access_key) is None
    reader.refresh(11_000)
    assert reader.get(created.access_key) == created
    assert writer.delete(created.access_key)
    reader.refresh(12_000)
    assert reader.get(created.access_key) is None


def test_the_clock_may_jump_back(path: Path) -> None:
    reader = Credentials(path)
    reader.refresh(1_000_000)
    created = Credentials(path).create(0)
    reader.refresh(5_000)
    assert reader.get(created.access_key) == created


def test_two_that_change_at_once_both_succeed(path: Path) -> None:
    one, other = Credentials(path), Credentials(path)
    first, second = one.create(1), other.create(2)
    assert Credentials(path).list() == [first, second]
    assert other.delete(first.access_key)
    assert not one.delete(first.access_key)
    assert one.list() == [second]


def test_a_given_credential_replaces_its_namesake(path: Path) -> None:
    credentials = Credentials(path)
    credentials.add(Credential("local", "old"))
    credentials.add(Credential("local", "new", session_token="token"))
    assert Credentials(path).list() == [Credential("local", "new", session_token="token")]


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"credentials": [{"access_key": "a"}]}', '{"credentials": [{"x": 1}]}']
)
def test_a_file_that_holds_something_else_is_refused_at_start(path: Path, text: str) -> None:
    path.write_text(text)
    with pytest.raises(BadCredentials):
        Credentials(path)


def test_a_file_spoiled_later_leaves_those_in_force(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    created = Credentials(path).create(0)
    reader = Credentials(path)
    path.write_text("{")
    with caplog.at_level(logging.WARNING):
        reader.refresh(5_000)
    assert reader.get(created.access_key) == created
    assert "stay in force" in caplog.text


def test_a_spoiled_file_is_not_overwritten(path: Path) -> None:
    credentials = Credentials(path)
    path.write_text("{")
    with pytest.raises(BadCredentials):
        credentials.create(0)
    assert path.read_text() == "{"
