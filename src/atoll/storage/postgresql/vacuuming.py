"""VACUUM the tables of a store: `atoll store compact --store`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

from atoll.storage.postgresql import statements
from atoll.storage.postgresql.direct import Direct


def vacuum(url: str) -> Iterator[tuple[str, int, int]]:
    """Front ends may go on meanwhile. Yields each region with its size before and after. Raises `BadStore` and
    `Unavailable`."""
    with closing(Direct(url)) as direct:
        direct.require_format()
        for region in direct.regions():
            before = direct.value(statements.size_of(region))
            for table in statements.VACUUMED:
                direct.execute(f"vacuum (truncate on) {statements.quoted(region)}.{table}")
            yield region, before, direct.value(statements.size_of(region))
