"""Secrets at rest are encrypted with a key that is kept elsewhere."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import pytest

from atoll import cli
from atoll.security.credentials import BadCredentials, Credentials
from atoll.security.sessions import BadKey, load_key
from atoll.security.vault import PREFIX, BadSecret, Vault, load

KEY = "0123456789abcdef"


def test_the_file_holds_no_secret(tmp_path: Path) -> None:
    path, vault = tmp_path / "credentials.json", Vault(KEY.encode())
    made = Credentials(path, vault).create(0, session_token="token")
    assert made.secret not in path.read_text() and PREFIX in path.read_text()
    assert Credentials(path, vault).get(made.access_key) == made


@pytest.mark.parametrize("vault", [Vault(), Vault(b"another key of 16")])
def test_without_the_key_it_cannot_be_read(tmp_path: Path, vault: Vault) -> None:
    path = tmp_path / "credentials.json"
    Credentials(path, Vault(KEY.encode())).create(0)
    with pytest.raises(BadCredentials, match="encrypted"):
        Credentials(path, vault)
    load_key(tmp_path / "key", Vault(KEY.encode()))
    with pytest.raises(BadKey, match="encrypted"):
        load_key(tmp_path / "key", vault)


def test_a_key_of_sessions_is_the_same_for_all_processes(tmp_path: Path) -> None:
    read = partial(load_key, tmp_path / "key", Vault(KEY.encode()))
    assert read() == read()
    assert (tmp_path / "key").read_text().startswith(PREFIX)


def test_plain_secrets_are_encrypted_by_command(tmp_path: Path, monkeypatch: Any, capsys: Any) -> None:
    monkeypatch.setenv("OF_SECRETS", KEY)
    options = ["--data", str(tmp_path)]
    cli.main(["credentials", "create", *options])
    secret = capsys.readouterr().out.partition("SECRET_ACCESS_KEY=")[2].strip()
    assert secret in (tmp_path / "credentials.json").read_text()
    assert cli.main(["credentials", "encrypt", *options]) == 2
    assert cli.main(["credentials", "encrypt", *options, "--secrets-key", "env:OF_SECRETS"]) == 0
    assert secret not in (tmp_path / "credentials.json").read_text()
    (found,) = Credentials(tmp_path / "credentials.json", load("env:OF_SECRETS")).list()
    assert found.secret == secret


@pytest.mark.parametrize("source", ["env:ABSENT", "/nonexistent/key"])
def test_an_unusable_key(source: str) -> None:
    with pytest.raises(BadSecret):
        load(source)
