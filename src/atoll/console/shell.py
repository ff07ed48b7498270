"""The parts of every page: a header with the endpoint and region, the navigation, and errors.

The header is plain HTML, outside of NiceGUI's elements, so the browser shows it before any script has run.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from html import escape
from typing import Any
from urllib.parse import quote, urlencode
from weakref import WeakKeyDictionary

from fastapi import Request
from nicegui import background_tasks, ui

from atoll import __version__
from atoll.clock import monotonic_ns
from atoll.console import features
from atoll.console.endpoint import CallFailed, Connection, Endpoint, Key, checked_answers
from atoll.console.features import Features
from atoll.console.guard import Visit
from atoll.console.widgets import box, callout

FEATURES_NS = 60 * 10**9
"""The time after which the endpoint's features are looked up again."""

MAIN = (
    ("Tables", "/", ""),
    ("PartiQL", "/partiql", ""),
    ("Capacity", "/capacity", features.METERS),
    ("Streams", "/streams", features.EVENTS),
    ("Triggers", "/triggers", features.MAPPINGS),
    ("Backups", "/backups", features.BACKUPS),
    ("Regions", "/regions", features.LINKS),
    ("Storage", "/storage", features.STORAGE),
    ("Clock", "/clock", features.CLOCK),
)
OF_TABLE = (
    ("Items", "items", ""),
    ("Settings", "settings", ""),
    ("Indexes", "indexes", ""),
    ("Stream", "stream", features.EVENTS),
    ("Expiry", "ttl", ""),
    ("Capacity", "capacity", features.METERS),
    ("Backups", "backups", features.BACKUPS),
)

_NEEDED = {place: feature for _, place, feature in MAIN} | {
    f"/table/{{table}}/{tab}": feature for _, tab, feature in OF_TABLE
}

_known: WeakKeyDictionary[Endpoint, dict[tuple[Key, str], tuple[int, Features]]] = WeakKeyDictionary()


@dataclass(frozen=True)
class View:
    """A page for one visitor."""

    visit: Visit
    connection: Connection
    features: Features
    query: dict[str, str]
    path: dict[str, str]

    @property
    def table(self) -> str:
        return self.path["table"]

    @property
    def writable(self) -> bool:
        return not self.connection.read_only

    def has(self, path: str) -> bool:
        """Whether the endpoint has the page's feature. True if no probe was answered: then the page shows the error."""
        needed = _NEEDED.get(path, "")
        return not needed or needed in self.features or not self.features.found

    def url(self, path: str, **query: Any) -> str:
        given = {name: value for name, value in query.items() if value not in (None, "")}
        if self.connection.region != self.connection.endpoint.region:
            given["region"] = self.connection.region
        return path + (f"?{urlencode(given)}" if given else "")

    def table_url(self, table: str, tab: str = "items", **query: Any) -> str:
        return self.url(f"/table/{quote(table, safe='')}/{tab}", **query)


Build = Callable[[View], Awaitable[None]]


def page(path: str, title: str) -> Callable[[Build], Build]:
    """Make a function the builder of the pages at a path. `{table}` in the path and title is a table's name."""

    def decorate(build: Build) -> Build:
        async def show(request: Request) -> None:
            view = await _view(request)
            heading = title.format(**view.path)
            ui.page_title(
                f"{heading} · {'Atoll' if view.connection.is_atoll else view.connection.endpoint.address.shown}"
            )
            ui.add_head_html(_head())
            ui.add_body_html(_frame(view, path, heading))
            with box().props("id=main tabindex=-1"):
                try:
                    if view.has(path):
                        with checked_answers():
                            await build(view)
                    else:
                        callout("The endpoint does not have this, or your credential may not read it.", "warn")
                except CallFailed as failure:
                    callout(str(failure), "bad")

        ui.page(path, response_timeout=60, reconnect_timeout=10)(show)
        return build

    return decorate


async def _view(request: Request) -> View:
    visit: Visit = request.scope["visit"]
    connection = visit.connection(request.query_params.get("region", ""))
    found = await known_features(connection)
    return View(visit, connection, found, dict(request.query_params), dict(request.path_params))


async def known_features(connection: Connection) -> Features:
    """The endpoint's features for this credential. Old answers are returned, and looked up again in the background."""
    since, found = _known.setdefault(connection.endpoint, {}).get((connection.key, connection.region), (0, None))
    if found is None:
        return await _probed(connection)
    if monotonic_ns() - since > FEATURES_NS:
        _remember(connection, found)  # so that only this page looks them up
        background_tasks.create(_probed(connection), name="features")
    return found


async def _probed(connection: Connection) -> Features:
    found = await features.probe(connection)
    if found.found:  # otherwise the endpoint may be down: the next page looks them up again
        _remember(connection, found)
    return found


def _remember(connection: Connection, found: Features) -> None:
    _known.setdefault(connection.endpoint, {})[connection.key, connection.region] = (monotonic_ns(), found)


def _head() -> str:
    return (
        f'<script src="/console-static/theme.js?{__version__}"></script>'
        f'<link rel="icon" href="/console-static/icon.svg">'
        f'<link rel="stylesheet" href="/console-static/console.css?{__version__}">'
    )


def _frame(view: View, path: str, heading: str) -> str:
    connection = view.connection
    badges = '<span class="badge warn">Read-only</span>' if connection.read_only else ""
    sign_out = (
        '<form method="post" action="/sign-out"><button class="small" type="submit">Sign out</button></form>'
        if view.visit.signed_in
        else ""
    )
    regions = "".join(f'<option value="{escape(one)}"></option>' for one in view.features.regions)
    return f"""<a class="skip" href="#main">Skip to the content</a>
<header class="top"><a class="brand" href="{escape(view.url("/"))}">{_LOGO}Console</a>
<dl class="where"><div><dt>Endpoint</dt><dd>{escape(connection.endpoint.address.shown)}</dd></div>
<div><dt>Account</dt><dd>{escape(view.features.account or "not known")}</dd></div>
<div><form method="get" role="search" aria-label="Region"><label for="region">Region</label>
<input id="region" name="region" list="regions" value="{escape(connection.region)}" autocomplete="off">
<datalist id="regions">{regions}</datalist></form></div></dl>
{badges}{sign_out}<button type="button" class="icon" id="theme" title="Dark or light">{_THEME}</button></header>
<nav class="side" aria-label="Pages"><ul>{_main_links(view, path)}</ul></nav>
<div class="early" role="region" aria-label="Page">{_crumbs(view, path)}<h1>{escape(heading)}</h1>
{_table_tabs(view, path)}</div>"""


def _main_links(view: View, path: str) -> str:
    shown = ((label, place) for label, place, needed in MAIN if not needed or needed in view.features)
    return "".join(_entry(label, view.url(place), place == path or (place == "/" and path.startswith("/table")))
                   for label, place in shown)  # fmt: skip


def _table_tabs(view: View, path: str) -> str:
    if "{table}" not in path:
        return ""
    entries = "".join(
        _entry(
            label,
            view.table_url(view.table, tab),
            path.endswith(f"/{tab}") or (tab == "items" and path.endswith(("/item", "/nearest"))),
        )
        for label, tab, needed in OF_TABLE
        if not needed or needed in view.features
    )
    return f'<nav aria-label="Table"><ul class="tabs">{entries}</ul></nav>'


def _crumbs(view: View, path: str) -> str:
    if not path.startswith("/table"):
        return ""
    return f'<p class="crumbs"><a href="{escape(view.url("/"))}">Tables</a> /</p>'


def _entry(label: str, url: str, current: bool) -> str:
    return f'<li><a href="{escape(url)}"{" aria-current=page" if current else ""}>{label}</a></li>'


_LOGO = (
    '<svg width="20" height="20" viewBox="0 0 20 20" aria-hidden="true"><path d="M10 2a8 8 0 1 0 7.4 5" fill="none" '
    'stroke="currentColor" stroke-width="3.2" stroke-linecap="round"/><circle cx="10" cy="10" r="2" '
    'fill="currentColor"/></svg>'
)
_THEME = (
    '<svg width="18" height="18" viewBox="0 0 18 18" aria-hidden="true"><circle cx="9" cy="9" r="6.5" fill="none" '
    'stroke="currentColor" stroke-width="1.5"/><path d="M9 2.5a6.5 6.5 0 0 1 0 13z" fill="currentColor"/></svg>'
)
