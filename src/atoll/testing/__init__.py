"""Testing support for applications: an in-process server with a clock that the test controls, and a pytest plugin.

    with atoll.testing.serve() as server:
        server.client("dynamodb").create_table(...)
        server.clock.advance("25h")
        with server.fault("throttling", table="Orders"):
            ...

Imports are lazy, since pytest imports the plugin in every project that has Atoll installed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from atoll.testing.fault import Fault
    from atoll.testing.link import Link
    from atoll.testing.local import Clock, LocalServer, State, serve

__all__ = ["Clock", "Fault", "Link", "LocalServer", "State", "serve"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        from atoll import platforms

        if reason := platforms.unsupported():
            raise RuntimeError(reason)
        from atoll.testing import local

        return getattr(local, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
