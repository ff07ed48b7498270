"""The URL, region and credentials that a command uses."""

from __future__ import annotations

import builtins
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from atoll.client import resolve
from atoll.client.endpoint import Endpoint
from atoll.client.failures import Misconfigured

KEYS = {"AWS_ACCESS_KEY_ID": "env", "AWS_SECRET_ACCESS_KEY": "env-secret"}


def resolved(place: str = "", environment: Mapping[str, str] | None = None, **options: Any) -> Endpoint:
    return resolve(place, environment=environment or {}, **options)


class TestUrls:
    def test_without_a_word_it_is_the_atoll_of_this_machine(self) -> None:
        assert resolved().url == "http://127.0.0.1:8000" and resolved().region == "us-east-1"

    @pytest.mark.parametrize(
        ("place", "variables", "url"),
        [
            ("http://a:1/", {"AWS_ENDPOINT_URL": "http://b:2"}, "http://a:1"),
            ("", {"AWS_ENDPOINT_URL": "http://b:2"}, "http://b:2"),
            ("", {"AWS_ENDPOINT_URL": "http://b:2", "AWS_ENDPOINT_URL_DYNAMODB": "http://c:3"}, "http://c:3"),
            (
                "",
                {"AWS_ENDPOINT_URL": "http://b:2", "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true"},
                "http://127.0.0.1:8000",
            ),
            ("", {"AWS_ENDPOINT_URL": "aws", "AWS_REGION": "eu-west-1"}, "https://dynamodb.eu-west-1.amazonaws.com"),
            ("aws", {"AWS_ENDPOINT_URL": "http://b:2"}, "https://dynamodb.us-east-1.amazonaws.com"),
            ("eu-west-1", {}, "https://dynamodb.eu-west-1.amazonaws.com"),
            ("cn-north-1", {}, "https://dynamodb.cn-north-1.amazonaws.com.cn"),
            ("us-gov-west-1", {}, "https://dynamodb.us-gov-west-1.amazonaws.com"),
        ],
    )
    def test_the_url(self, place: str, variables: dict[str, str], url: str) -> None:
        assert resolved(place, KEYS | variables).url == url

    def test_the_service_has_streams_at_another_url(self) -> None:
        assert resolved("eu-west-1", KEYS).streams_url == "https://streams.dynamodb.eu-west-1.amazonaws.com"
        assert resolved("http://a:1", KEYS).streams_url == "http://a:1"
        assert resolved("http://a:1", KEYS, streams_url="http://s:2").streams_url == "http://s:2"

    @pytest.mark.parametrize("place", ["Frankfurt", "ftp://x", "http://", "http://a:x", "http://a b"])
    def test_invalid_endpoints(self, place: str) -> None:
        with pytest.raises(Misconfigured, match="is not an endpoint"):
            resolved(place, KEYS)

    def test_the_files_name_an_endpoint(self, tmp_path: Path) -> None:
        config = tmp_path / "config"
        config.write_text(
            "[default]\nendpoint_url = http://d:1\n[profile x]\nservices = mine\nregion = eu-west-2\n"
            "[services mine]\ndynamodb =\n  endpoint_url = http://localhost:2\n"
        )
        files = {"AWS_CONFIG_FILE": str(config)} | KEYS
        assert resolved("", files).url == "http://d:1"
        assert resolved("", files | {"AWS_PROFILE": "x"}).url == "http://localhost:2"
        assert resolved("", files, profile="x").region == "eu-west-2"


class TestRegions:
    @pytest.mark.parametrize(
        ("options", "variables", "region"),
        [
            ({"region": "a-1"}, {"AWS_REGION": "b-1"}, "a-1"),
            ({}, {"AWS_REGION": "b-1", "AWS_DEFAULT_REGION": "c-1"}, "b-1"),
            ({}, {"AWS_DEFAULT_REGION": "c-1"}, "c-1"),
        ],
    )
    def test_the_region(self, options: dict[str, str], variables: dict[str, str], region: str) -> None:
        assert resolved("", variables, **options).region == region

    def test_invalid_regions(self) -> None:
        with pytest.raises(Misconfigured, match="is not a region"):
            resolved(region="evil.example/")


@pytest.fixture
def files(tmp_path: Path) -> dict[str, str]:
    credentials, config = tmp_path / "credentials", tmp_path / "config"
    credentials.write_text(
        "[default]\naws_access_key_id = d\naws_secret_access_key = ds%x\n"
        "[work]\naws_access_key_id = w\naws_secret_access_key = ws\naws_session_token = wt\n"
    )
    config.write_text('[profile "of config"]\naws_access_key_id = c\naws_secret_access_key = cs\n'
                      "[profile role]\nrole_arn = arn:aws:iam::1:role/x\nsource_profile = work\n")  # fmt: skip
    return {"AWS_SHARED_CREDENTIALS_FILE": str(credentials), "AWS_CONFIG_FILE": str(config)}


class TestCredentials:
    def test_credentials_of_the_environment_come_first(self, files: dict[str, str]) -> None:
        found = resolved("http://db:1", files | KEYS | {"AWS_SESSION_TOKEN": "t"}).credentials()
        assert (found.access_key, found.secret, found.session_token) == ("env", "env-secret", "t")

    def test_a_named_profile_comes_before_the_environment(self, files: dict[str, str]) -> None:
        found = resolved("http://db:1", files | KEYS, profile="work").credentials()
        assert (found.access_key, found.secret, found.session_token) == ("w", "ws", "wt")

    def test_credentials_of_the_files(self, files: dict[str, str]) -> None:
        assert resolved("http://db:1", files).credentials().secret == "ds%x"
        assert resolved("http://db:1", files | {"AWS_PROFILE": "work"}).credentials().access_key == "w"
        assert resolved("http://db:1", files, profile="of config").credentials().access_key == "c"

    @pytest.mark.parametrize(
        "url", ["http://127.0.0.1:1", "http://localhost:1", "http://[::1]:1", "http://a.localhost"]
    )
    def test_a_server_on_this_machine_needs_none(self, url: str) -> None:
        assert resolved(url).credentials().access_key == "atoll"

    def test_others_do(self) -> None:
        with pytest.raises(Misconfigured, match="there are no credentials: set AWS_ACCESS_KEY_ID"):
            resolved("http://db.example")

    def test_half_a_key(self) -> None:
        with pytest.raises(Misconfigured, match="set both AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"):
            resolved("", {"AWS_ACCESS_KEY_ID": "x"})

    def test_a_missing_profile(self, files: dict[str, str]) -> None:
        with pytest.raises(Misconfigured, match=r"The config profile \(nobody\) could not be found"):
            resolved("", files, profile="nobody")

    def test_a_damaged_file_is_named(self, tmp_path: Path) -> None:
        (tmp_path / "config").write_text("no section\n")
        with pytest.raises(Misconfigured, match="config"):
            resolved("", {"AWS_CONFIG_FILE": str(tmp_path / "config")})

    @pytest.mark.parametrize("content", ["key = the-secret\n", "[default]\nthe-secret\n"])
    def test_a_damaged_file_is_named_without_its_secrets(self, content: str, tmp_path: Path) -> None:
        (tmp_path / "credentials").write_text(content)
        with pytest.raises(Misconfigured, match=r"credentials: line [12]") as caught:
            resolved("", {"AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "credentials")})
        assert "the-secret" not in str(caught.value)

    def test_a_file_with_a_byte_order_mark(self, tmp_path: Path) -> None:
        (tmp_path / "credentials").write_text("\ufeff[default]\naws_access_key_id=b\naws_secret_access_key=bs\n")
        found = resolved("", {"AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "credentials")}).credentials()
        assert found.access_key == "b"

    @pytest.mark.parametrize("name", ["AWS_ACCESS_KEY_ID", "AWS_SESSION_TOKEN"])
    @pytest.mark.parametrize("value", ["the-secret\n", "the-secret\r\nEvil: 1", "the-secret\u00fc", "the secret"])
    def test_a_key_that_no_header_can_have(self, name: str, value: str) -> None:
        with pytest.raises(Misconfigured, match=name) as caught:
            resolved("", KEYS | {name: value})
        assert "secret\n" not in str(caught.value) and value not in str(caught.value)

    @pytest.mark.parametrize("url", ["http://user:the-secret@db", "http://:the-secret@db", "http://a@b@db"])
    def test_a_url_with_a_password_is_not_shown(self, url: str) -> None:
        with pytest.raises(Misconfigured, match="cannot have a user name") as caught:
            resolved(url)
        assert "the-secret" not in str(caught.value)

    def test_keys_from_elsewhere_are_fetched_by_botocore(
        self, files: dict[str, str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        with (tmp_path / "config").open("a") as config:
            config.write("[profile program]\ncredential_process = echo '{\"Version\": 1, \"AccessKeyId\": \"p\", "
                         "\"SecretAccessKey\": \"ps\"}'\n")  # fmt: skip
        for name, value in files.items():
            monkeypatch.setenv(name, value)
        assert resolve("", profile="program").credentials().access_key == "p"

    def test_without_botocore_the_extra_is_named(self, files: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
        real = builtins.__import__

        def without(name: str, *arguments: Any) -> Any:
            if name.startswith("botocore"):
                raise ImportError(name)
            return real(name, *arguments)

        monkeypatch.setattr(builtins, "__import__", without)
        with pytest.raises(Misconfigured, match=r"the profile role has role_arn.*pip install 'atoll\[aws\]'"):
            resolved("", files, profile="role")
        with pytest.raises(Misconfigured, match="there are no credentials"):
            resolved("http://db.example", {})
