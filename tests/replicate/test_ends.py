"""How the user names the ends. No request is sent."""

from __future__ import annotations

from pathlib import Path

import pytest

from atoll.replicate.ends import Address


def urls(address: Address) -> tuple[str, str]:
    endpoint = address.client().endpoint
    return endpoint.url, endpoint.streams_url


def region(address: Address) -> str:
    return address.client().endpoint.region


def test_a_url_serves_tables_and_streams() -> None:
    assert urls(Address("http://localhost:8000")) == ("http://localhost:8000", "http://localhost:8000")


def test_the_streams_of_a_url_may_be_elsewhere() -> None:
    address = Address("http://localhost:8000", streams="http://localhost:9000")
    assert urls(address) == ("http://localhost:8000", "http://localhost:9000")


def test_the_streams_of_a_region_may_be_elsewhere() -> None:
    tables, streams = urls(Address("eu-west-1", streams="http://localhost:9000"))
    assert tables.startswith("https://dynamodb.eu-west-1.")
    assert streams == "http://localhost:9000"


def test_a_region_means_the_service_whatever_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """The README lets users set this variable. Their migration must not go from Atoll to itself."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://localhost:8000")
    tables, streams = urls(Address("eu-west-1"))
    assert tables.startswith("https://dynamodb.eu-west-1.")
    assert streams.startswith("https://streams.dynamodb.eu-west-1.")
    assert region(Address("eu-west-1")) == "eu-west-1"


def test_the_region_of_a_url(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    url = "http://localhost:8000"
    assert region(Address(url)) == "us-east-1"
    config = tmp_path / "config"
    config.write_text("[profile far]\nregion = ap-southeast-2\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    assert region(Address(url, profile="far")) == "ap-southeast-2"
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-north-1")
    assert region(Address(url)) == "eu-north-1"
    assert region(Address(url, region="sa-east-1", profile="far")) == "sa-east-1"


def test_each_end_has_its_own_credentials(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    file = tmp_path / "credentials"
    file.write_text("".join(f"[{n}]\naws_access_key_id = key-{n}\naws_secret_access_key = x\n" for n in ("a", "b")))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(file))
    for name in ("a", "b"):
        endpoint = Address("http://localhost:8000", profile=name).client().endpoint
        assert endpoint.credentials().access_key == f"key-{name}"
