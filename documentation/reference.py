"""The reference, made from the code: a function for each page returns its Markdown.

Nothing of it is kept in the repository, so it cannot be older than the code.
"""

from __future__ import annotations

import argparse
import importlib
import inspect
import pkgutil
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from atoll import cli, errors
from atoll.api import service_model, services
from atoll.wire import health


def commands() -> str:
    """`reference/commands.md`: every command with its options, as the parser of the command line has them."""
    parts = ["# Commands", "Every command and option of `atoll`. `atoll COMMAND --help` prints the same."]
    for name, parser in _parsers("atoll", cli.parser_of()):
        if name != "atoll":
            parts += [_command(name, parser)]
    return "\n\n".join(parts) + "\n"


def _parsers(name: str, parser: argparse.ArgumentParser) -> Iterator[tuple[str, argparse.ArgumentParser]]:
    yield name, parser
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for below, one in action.choices.items():
                yield from _parsers(f"{name} {below}", one)


def _command(name: str, parser: argparse.ArgumentParser) -> str:
    lines = [f"## {name}", "", _plain(parser.description or ""), "", "```text", _usage(name, parser), "```", ""]
    rows = [
        (
            ", ".join(f"`{text}`" for text in action.option_strings) or f"`{action.metavar or action.dest}`",
            _help(action),
        )
        for action in parser._actions
        if action.dest != "help" and action.help is not argparse.SUPPRESS
        if not isinstance(action, argparse._SubParsersAction)
    ]
    return "\n".join(lines + (_table(("Option", "What it does"), rows) if rows else []))


def _usage(name: str, parser: argparse.ArgumentParser) -> str:
    """What the command needs; the options that may be left out are in the table below."""
    needed = [action for action in parser._actions if action.required or not action.option_strings]
    more = ["[OPTIONS]"] if len(needed) < len(parser._actions) - 1 else []  # one is --help
    return " ".join([name, *more, *map(_word, needed)])


def _word(action: argparse.Action) -> str:
    word = " ".join([*action.option_strings[:1], str(action.metavar or action.dest.upper())])
    word += " ..." if action.nargs in ("+", "*") else ""
    return f"[{word}]" if action.nargs in ("?", "*") else word


def _help(action: argparse.Action) -> str:
    text = (action.help or "").replace("%(default)s", str(action.default)).replace("%%", "%")
    chosen = f" One of {', '.join(f'`{choice}`' for choice in action.choices)}." if action.choices else ""
    return _plain(text + chosen)


def operations() -> str:
    """`reference/operations.md`: every operation, by service, from the table that routes requests."""
    parts = [
        "# Operations",
        "Every operation that Atoll serves, with the members that its request may have. "
        "[Compatibility](../compatibility.md) lists the differences from the service.",
    ]
    found: dict[str, list[services.Operation]] = {}
    for operation in services.OPERATIONS:
        if operation.service is not services.ADMIN:
            found.setdefault(operation.service.name, []).append(operation)
    for name, rows in found.items():
        protocols = ", ".join(
            protocol.name.replace("_", " ", 1).replace("_", ".") for protocol in rows[0].service.protocols
        )
        signed = f"Protocols: {protocols}; signed for the service `{rows[0].service.signing_name}`."
        requests = {_request(one).replace(one.name, "OPERATION") for one in rows}
        if len(requests) == 1:
            parts.append(f"## {name}\n\n{signed} Requests: {requests.pop()}.")
            parts.append("\n".join(_table(("Operation", "Members"), [(one.name, _members(one)) for one in rows])))
        else:
            parts.append(f"## {name}\n\n{signed}")
            table = [(one.name, _request(one), _members(one)) for one in rows]
            parts.append("\n".join(_table(("Operation", "Request", "Members"), table)))
    return "\n\n".join(parts) + "\n"


def _members(operation: services.Operation) -> str:
    assert operation.service.model is not None
    members = service_model.model(operation.service.model).input(operation.name).members
    return ", ".join(f"`{name}`" for name in sorted(members))


def _request(operation: services.Operation) -> str:
    http, service = operation.http, operation.service
    if http is not None:
        return f"`{http.method} {service.prefix}{http.path}`"
    return f"`X-Amz-Target: {service.target}.{operation.name}`" if service.target else f"`Action={operation.name}`"


def administration() -> str:
    """`reference/administration.md`: the routes of the administration, with what their modules say of them."""
    rows = [
        (f"`{one.http.method} {services.ADMIN.prefix}{one.http.path}`", one.name)
        for one in services.of(services.ADMIN)
        if one.http is not None
    ]
    modules = dict.fromkeys(inspect.getmodule(one.function) for one in services.of(services.ADMIN))
    parts = [
        "# Administration",
        "The routes below `/_atoll/`. [Configuration](../configuration.md#administration) says who may use them.",
        "\n".join(_table(("Route", "Operation"), rows)),
    ]
    for module in [*filter(None, modules), health]:
        title, _, rest = (inspect.getdoc(module) or "").partition("\n\n")
        parts.append(f"## {_title(module.__name__)}\n\n{_plain(title)}\n\n```text\n{rest.rstrip()}\n```")
    return "\n\n".join(parts) + "\n"


def _title(module: str) -> str:
    return module.rpartition(".")[2].replace("_", " ").capitalize()


def error_texts() -> str:
    """`reference/errors.md`: every error with its status and text; what varies stands in braces."""
    parts = [
        "# Errors",
        "The errors that clients can get, by area: code, HTTP status and text. What varies stands in {braces}.",
    ]
    for name, module in _error_modules():
        rows = sorted({(f"`{one.code}`", str(one.status), _cell(one.message or "")) for one in _errors(module)})
        if rows:
            parts.append("\n".join([f"## {_title(name)}", "", *_table(("Code", "Status", "Text"), rows)]))
    return "\n\n".join(parts) + "\n"


def _error_modules() -> Iterator[tuple[str, Any]]:
    for found in pkgutil.iter_modules(errors.__path__):
        yield found.name, importlib.import_module(f"{errors.__name__}.{found.name}")


def _errors(module: Any) -> Iterator[errors.ApiError]:
    """The errors of a module, with placeholders. Functions that compute with their arguments are left out."""
    for function in _makers(module):
        try:
            error = sample(function)
        except (TypeError, ValueError, KeyError, AssertionError):
            continue
        if isinstance(error, errors.ApiError):
            yield error


def _makers(module: Any) -> Iterator[Callable[..., Any]]:
    """The functions of a module that return errors."""
    for function in vars(module).values():
        own = inspect.isfunction(function) and function.__module__ == module.__name__
        if own and function.__name__[0] != "_" and function.__annotations__.get("return") == "ApiError":
            yield function


def counted() -> tuple[int, int]:
    """How many functions return errors, and of how many `reference/errors.md` shows the error."""
    modules = [module for _, module in _error_modules()]
    return sum(len(list(_makers(one))) for one in modules), sum(len(list(_errors(one))) for one in modules)


def sample(function: Callable[..., Any]) -> Any:
    """What an error's function returns if each argument is its name in braces, or a number where it has to be one."""
    parameters = [
        one
        for one in inspect.signature(function).parameters.values()
        if one.default is one.empty and one.kind != one.VAR_KEYWORD
    ]
    for numbers in ((), ("int", "float", "int | float")):
        given = {one.name: 1_000 if str(one.annotation) in numbers else Placeholder(one.name) for one in parameters}
        try:
            return function(
                *[given[one.name] for one in parameters if one.kind != one.KEYWORD_ONLY],
                **{one.name: given[one.name] for one in parameters if one.kind == one.KEYWORD_ONLY},
            )
        except (TypeError, ValueError):
            if numbers:
                raise
    raise AssertionError("unreachable")


class Placeholder(str):
    """A name in braces that takes the place of any text, list of texts, or value with attributes."""

    def __new__(cls, name: str) -> Placeholder:
        return super().__new__(cls, f"{{{name}}}")

    def __iter__(self) -> Iterator[Placeholder]:
        yield self

    def __format__(self, spec: str) -> str:
        return str.__str__(self)

    def __getattr__(self, name: str) -> Placeholder:
        if name.startswith("__"):
            raise AttributeError(name)
        return Placeholder(name)


def _table(headings: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> list[str]:
    lines = [headings, ("---",) * len(headings), *rows]
    return [
        f"| {' | '.join(cell.replace('|', chr(92) + '|').replace(chr(10), ' ') for cell in row)} |" for row in lines
    ]


def _cell(text: str) -> str:
    return f"`{text}`" if text and "`" not in text else f"`` {text} ``" if text else ""


def _plain(text: str) -> str:
    return re.sub(r"\s+", " ", text).strip()


PAGES: dict[str, Callable[[], str]] = {
    "reference/commands.md": commands,
    "reference/operations.md": operations,
    "reference/administration.md": administration,
    "reference/errors.md": error_texts,
}
