"""The file of users, groups and roles: its declarations, its faults, and its reloading."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from atoll.security.directory import BadDirectory, read
from atoll.security.identities import Declared, DeclaringFile, Identities, load

ACCOUNT = "000000000000"
POLICY = {"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "dynamodb:*", "Resource": "*"}}
TRUST = {"Statement": {"Effect": "Allow", "Principal": "*", "Action": "sts:AssumeRole"}}


def test_policies_are_documents_texts_and_names() -> None:
    text = '{"Statement": [{"Effect": "Deny", "Action": "*", "Resource": "*"}]}'
    found = read(
        [
            {
                "policies": {"all": POLICY},
                "groups": {"dev": {"policies": ["all"]}},
                "users": {"ann": {"policies": [POLICY, text, "AdministratorAccess"], "groups": ["dev"]}},
            }
        ],
        ACCOUNT,
    )
    names = [one.name for one in found.account(ACCOUNT).users["ann"].policies.identity]
    assert names == ["users.ann, policy 1", "users.ann, policy 2", "AdministratorAccess", "all"]


@pytest.mark.parametrize(
    ("document", "fault"),
    [
        ({"people": {}}, "policies: unknown key people"),
        ({"users": []}, "users must be a table"),
        ({"users": {"a b": {}}}, "users: 'a b' must consist of"),
        ({"users": {"ann": {"polices": []}}}, "users.ann: unknown key polices"),
        ({"users": {"ann": {"policies": ["none"]}}}, "there is no policy named 'none'"),
        ({"users": {"ann": {"groups": ["none"]}}}, "users.ann: there is no group named 'none'"),
        ({"users": {"ann": {"policies": [{"Statement": []}]}}}, "users.ann, policy 1: Could not parse"),
        ({"users": {"ann": {"policies": ["{"]}}}, "users.ann, policy 1: This policy contains invalid Json"),
        ({"users": {"ann": {"access_keys": ["k"]}}}, "users.ann.access_keys must be a table of texts"),
        ({"users": {"a": {"access_keys": {"K": "1"}}, "b": {"access_keys": {"K": "2"}}}}, "K belongs to two users"),
        ({"roles": {"ops": {}}}, "roles.ops needs trust"),
        ({"roles": {"ops": {"trust": POLICY}}}, "roles.ops.trust: Missing required field Principal"),
        ({"roles": {"ops": {"trust": TRUST, "max_session_duration": 1}}}, "from 3600 to 43200"),
        ({"accounts": {"12": {}}}, "'12' is not twelve digits"),
        ({"providers": {"http://x": {"jwks": {}}}}, "must be an https:// URL"),
    ],
)
def test_a_fault_is_named_with_its_place(document: dict[str, Any], fault: str) -> None:
    with pytest.raises(BadDirectory) as caught:
        read([document], ACCOUNT)
    assert fault in str(caught.value)


def test_two_files_declare_together_but_no_name_twice() -> None:
    found = read(
        [{"users": {"ann": {}}}, {"users": {"bob": {}}, "accounts": {"1" * 12: {"users": {"ann": {}}}}}], ACCOUNT
    )
    assert set(found.account(ACCOUNT).users) == {"ann", "bob"}
    assert found.account("1" * 12).users["ann"].principal.arn == "arn:aws:iam::111111111111:user/ann"
    with pytest.raises(BadDirectory, match="users ann is declared twice"):
        read([{"users": {"ann": {}}}, {"users": {"ann": {}}}], ACCOUNT)


def test_a_changed_file_is_read_again_and_a_faulty_one_is_not(tmp_path: Path, caplog: Any) -> None:
    path = tmp_path / "policies.toml"
    path.write_text('[users.ann]\naccess_keys = {K1 = "s"}\n')
    identities = Identities(None, Declared([DeclaringFile(path)], ACCOUNT))
    assert identities.get("K1") is not None
    path.write_text('[users.ann]\naccess_keys = {K22 = "s"}\n[users.bob]\n')
    assert identities.refresh(1_000_000)
    assert identities.get("K1") is None
    assert identities.get("K22") is not None
    path.write_text("[users.ann")
    assert not identities.refresh(2_000_000)
    assert identities.get("K22") is not None
    assert "policies were not reloaded" in caplog.text


def test_a_missing_file_declares_nothing(tmp_path: Path) -> None:
    assert load(tmp_path / "absent.toml") == {}
