"""Ports of 127.0.0.1 for servers that must know theirs before they start."""

from __future__ import annotations

import socket

_reserved: list[socket.socket] = []


def reserved_port() -> int:
    """A port that stays this process's until it ends. Linux gives it to nobody who asks for any free port or connects
    from one; a server that names the port can listen on it, since both sockets have SO_REUSEADDR and this one does not
    listen."""
    held = socket.socket()
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    held.bind(("127.0.0.1", 0))
    _reserved.append(held)
    port: int = held.getsockname()[1]
    return port
