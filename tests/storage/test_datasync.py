"""Syncing outside of the event loop, in both ways."""

from __future__ import annotations

import asyncio
import errno
import os
import platform
from pathlib import Path

import pytest

from atoll.storage import datasync
from atoll.storage.datasync import DataSync, KernelSync, ThreadSync, open_sync


def sync(using: DataSync, times: int) -> list[BaseException | None]:
    """The results of syncs, each begun when the one before has ended."""

    async def main() -> list[BaseException | None]:
        told: list[BaseException | None] = []
        for number in range(times):
            over = asyncio.Event()
            using.start(lambda error, over=over: (told.append(error), over.set())[1])  # type: ignore[misc]
            await over.wait()
            await asyncio.sleep(0)
            assert len(told) == number + 1
        return told

    return asyncio.run(main())


@pytest.fixture(params=["kernel", "thread"])
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> DataSync:
    (tmp_path / "file").write_bytes(b"x")
    if request.param == "thread":
        return ThreadSync(tmp_path / "file")
    try:
        return KernelSync(tmp_path / "file")
    except OSError as error:
        if platform.system() == "Linux" and error.errno not in (errno.ENOSYS, errno.EPERM):
            raise
        pytest.skip(f"this system has no such call, or forbids it: {error}")


def test_each_sync_is_reported_once(opened: DataSync) -> None:
    assert sync(opened, 3) == [None, None, None]
    opened.close()


def test_a_failed_sync_is_reported(opened: DataSync) -> None:
    os.close(opened._file)  # type: ignore[attr-defined]
    pipe = os.pipe()  # cannot be synced; one of its ends has the number of the file now
    (error,) = sync(opened, 1)
    assert isinstance(error, OSError)
    for end in {*pipe} - {opened._file}:  # type: ignore[attr-defined]
        os.close(end)
    opened.close()


def test_a_system_without_it_gets_a_thread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_bytes(b"x")
    monkeypatch.setattr("atoll.storage.datasync.platform.machine", lambda: "a machine of its own")
    opened = open_sync(tmp_path / "file")
    assert isinstance(opened, ThreadSync)
    assert sync(opened, 1) == [None]
    opened.close()


def test_a_file_that_cannot_be_synced_so_gets_a_thread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_bytes(b"x")
    monkeypatch.setattr(datasync, "_FDSYNC", 999)
    opened = open_sync(tmp_path / "file")
    assert isinstance(opened, ThreadSync)
    opened.close()


def test_a_failed_open_leaves_nothing_open(tmp_path: Path) -> None:
    before = os.listdir("/proc/self/fd") if Path("/proc/self/fd").exists() else []
    with pytest.raises(FileNotFoundError):
        open_sync(tmp_path / "nothing")
    assert len(before) == len(os.listdir("/proc/self/fd") if before else [])
