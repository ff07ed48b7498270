"""A reserved port is the named server's only."""

from __future__ import annotations

import errno
import socket

import pytest

from tests.ports import reserved_port


def test_a_server_can_listen_on_it_repeatedly_and_no_other_process_gets_it() -> None:
    port = reserved_port()
    for _ in range(2):
        with socket.socket() as other, pytest.raises(OSError) as refused:
            other.bind(("127.0.0.1", port))
        assert refused.value.errno == errno.EADDRINUSE
        with socket.create_server(("127.0.0.1", port)), socket.create_connection(("127.0.0.1", port)):
            pass
