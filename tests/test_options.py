"""The values of options."""

from __future__ import annotations

import resource
from collections.abc import Iterator

import pytest

from atoll import options, serve_options
from atoll.options import Refused, switch


@pytest.mark.parametrize(
    ("text", "bytes_"),
    [
        ("67108864", 64 * 1024**2),
        ("64MB", 64 * 1024**2),
        ("64m", 64 * 1024**2),
        ("256 MB", 256 * 1024**2),
        ("256MiB", 256 * 1024**2),
        ("1GB", 1024**3),
        ("2g", 2 * 1024**3),
        ("65536KB", 64 * 1024**2),
    ],
)
def test_sizes(text: str, bytes_: int) -> None:
    assert options.size("--memory-limit", text, 1) == bytes_


@pytest.mark.parametrize("text", ["", "MB", "1.5GB", "1TB", "-1GB", "1 0MB", "1MBB", "٣GB", "9" * 20, "1e9"])
def test_sizes_that_are_none(text: str) -> None:
    with pytest.raises(options.Refused, match="takes a size from 1MB"):
        options.size("--memory-limit", text, 1024**2)


@pytest.fixture
def files() -> Iterator[tuple[int, int]]:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    yield before
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_the_limit_of_open_files_is_raised(files: tuple[int, int]) -> None:
    _, hard = files
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
    serve_options.raise_file_limit(1_000)
    assert resource.getrlimit(resource.RLIMIT_NOFILE) == (min(hard, serve_options.FILES), hard)


def test_a_limit_of_open_files_that_is_too_low_is_reported(
    files: tuple[int, int], caplog: pytest.LogCaptureFixture
) -> None:
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    serve_options.raise_file_limit(most + 1)
    assert "--max-connections" in caplog.text


@pytest.mark.parametrize(
    ("text", "value"), [("", False), ("0", False), ("False", False), ("off", False), ("1", True), ("TRUE", True)]
)
def test_variable_turns_an_option_on_or_off(text: str, value: bool) -> None:
    assert switch("ATOLL_INSECURE", text) is value


@pytest.mark.parametrize("text", ["nope", "disabled", "2"])
def test_unclear_variable_is_refused(text: str) -> None:
    """It turned the option on: `ATOLL_INSECURE=disabled` served everybody."""
    with pytest.raises(Refused, match="ATOLL_INSECURE must be 1 or 0"):
        switch("ATOLL_INSECURE", text)
