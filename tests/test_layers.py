"""The layers: the modules that each module may import."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from atoll.commands import COMMANDS

SOURCE = Path(__file__).parents[1] / "src" / "atoll"

BASE = {"aside", "errors", "limits", "clock", "versions", "arns", "durations", "logs", "platforms", "slices"}
DATABASE = {"database", "expressions", "model", "storage.engine", *BASE}
SERVICES = {"alarms", "capacity", "faults", "insights", "metrics", "triggers"}

ALLOWED: dict[str, set[str]] = {
    "errors": {"errors", "limits", "arns"},
    "arns": set(),
    "aside": {"errors"},
    "attribute_values": set(),
    "limits": set(),
    "clock": set(),
    "versions": {"clock"},
    "durations": {"clock", "errors", "limits"},
    "logs": set(),
    "options": set(),
    "platforms": set(),
    "slices": {"clock"},
    "progress": {"clock", "logs"},
    "model": {"model", "errors", "limits"},
    "expressions": {"expressions", "model", "errors", "limits"},
    "storage": {"storage", "errors", "platforms"},
    "database": {"capacity.meter", *DATABASE},
    "capacity": {"capacity", *DATABASE},
    "triggers": {"triggers", *DATABASE},
    "insights": {"insights", "capacity", *DATABASE},
    "faults": {"faults", *DATABASE},
    "metrics": {"metrics", "capacity.meter", *DATABASE},
    "botocore_models": set(),
    "alarms": {"alarms", "botocore_models", "metrics", "triggers", *DATABASE},
    "scaling": {"scaling", "alarms", *DATABASE},
    "migration": {"migration", "database", "storage", *DATABASE},
    "recovery": {"recovery", *DATABASE},
    "transfer": {"attribute_values", "transfer", "capacity", "recovery", "replication.http", "security", *DATABASE},
    "check": {"check", "migration", "recovery", "storage", "triggers", *DATABASE},
    "copying": {"check", "copying", "logs", "options", "progress", "migration", "security", "storage", *DATABASE},
    "security": {"security", "errors", "limits"},
    "replication": {"replication", "capacity", "scaling", "security", *DATABASE},
    "vectors": {"vectors", *DATABASE},
    "api": {
        *("alarms", "api", "botocore_models", "recovery", "transfer", "scaling", "replication", "security", "vectors"),
        *SERVICES,
        *DATABASE,
    },
    "templates": {"templates", "api", "storage.memory", *DATABASE},
    "wire": {"wire", "api", "replication", "security", *BASE},
    "telemetry": {"telemetry", "api", "capacity", *DATABASE},
    "client": {"botocore_models", "client", "clock", "logs", "security"},
    "console": {"client", "console", "options", "clock", "security.browsers"},
    "shell": {"attribute_values", "client", "options", "shell"},
    "mcp": {"client", "mcp", "options", "shell"},
    "files": {"attribute_values", "client", "files", "replicate", "options", "clock", "shell.values"},
    "replicate": {"attribute_values", "client", "replicate", "options", "clock", "limits", "logs"},
}
EVERYTHING = {
    "node",
    "config",
    "data_directory",
    "lag",
    "shared_documents",
    "shared_store",
    "admission",
    "evaluation",
    "front",
    "peering",
    "region_work",
    "regions",
    "supervisor",
    "testing",
    "backup_commands",
    "cli",
    "commands",
    "completion",
    "credential_commands",
    "policy_commands",
    "replica_commands",
    "serve_command",
    "serve_options",
    "serving",
    "store_commands",
    "__init__",
    "__main__",
}


def imports(path: Path) -> set[str]:
    """Dotted names below `atoll` that a module imports."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module == "atoll":
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("atoll."):
            module = node.module.removeprefix("atoll.")
            found |= {f"{module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Import):
            found |= {alias.name.removeprefix("atoll.") for alias in node.names if alias.name.startswith("atoll.")}
    return found


def package(path: Path) -> str:
    return path.relative_to(SOURCE).parts[0].removesuffix(".py")


def allowed(name: str, may_import: set[str]) -> bool:
    return any(name == one or name.startswith(one + ".") for one in may_import)


MODULES = sorted(SOURCE.rglob("*.py"))


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_imports_go_one_way(path: Path) -> None:
    layer = package(path)
    if layer in EVERYTHING:
        return
    assert layer in ALLOWED, f"{layer} has no place in the house"
    wrong = {name for name in imports(path) if name != "__version__" and not allowed(name, ALLOWED[layer])}
    assert not wrong, f"{layer} may not import {', '.join(sorted(wrong))}"


def test_the_rule_speaks_of_layers_that_there_are() -> None:
    assert ALLOWED.keys() | EVERYTHING == {package(path) for path in MODULES}


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_only_the_clock_reads_a_clock(path: Path) -> None:
    if path.name == "clock.py":
        return
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            read = (node.value.id, node.attr)
            assert read not in {
                ("time", "time"), ("time", "time_ns"), ("time", "monotonic"), ("time", "monotonic_ns"),
                ("datetime", "now"), ("datetime", "utcnow"), ("date", "today"),
            }, f"{path.name}:{node.lineno} reads a clock"  # fmt: skip


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_no_wait_loses_a_cancellation(path: Path) -> None:
    """Before Python 3.12, `asyncio.wait_for` loses one that comes together with what it waits for. A connection pool
    may lose one: it hands out what came, and waits no longer."""
    if path.relative_to(SOURCE).as_posix() != "storage/postgresql/cluster.py":
        assert "asyncio.wait_for(" not in path.read_text(), "use asyncio.timeout"


def module(path: Path) -> str:
    return ".".join(path.relative_to(SOURCE).with_suffix("").parts).removesuffix(".__init__")


def test_no_imports_go_in_a_circle() -> None:
    """Those for types are imports too. A package may import its modules."""
    modules = {module(path): path for path in MODULES}
    imported = {
        name: {one if one in modules else one.rpartition(".")[0] for one in imports(path)} & modules.keys()
        for name, path in modules.items()
    }
    while leaves := {name for name, needed in imported.items() if not needed & imported.keys()}:
        for name in leaves:
            del imported[name]
    assert not imported, f"a circle among {', '.join(sorted(imported))}"


def test_every_module_is_used() -> None:
    """A module that nothing imports or starts is dead. A command's module is imported by its name."""
    used = set()
    for path in MODULES:
        for name in imports(path):
            used |= {name, name.rpartition(".")[0]}
    roots = {"cli", "testing", "testing.plugin", "storage.counting", "storage.hostile", "storage.mirror", "__main__",
             "check.__main__", *(command.module.removeprefix("atoll.") for command in COMMANDS.values())}  # fmt: skip
    for path in MODULES:
        name = module(path)
        if name not in roots and name != "__init__":
            assert name in used or any(other.startswith(name + ".") for other in used), f"{name} is not used"


KEYS = re.compile(r"(^|_)(key|counter|subject|prefix|start)$|^(row|found)\[0\]$|^key\.")


def taken_apart(path: Path) -> Iterator[int]:
    """The lines that cut bytes out of a stored key, or compose one with the space of the catalog."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Slice):
            if KEYS.search(ast.unparse(node.value)):
                yield node.lineno
        elif isinstance(node, ast.Attribute) and ast.unparse(node) == "fmt.CATALOG":
            yield node.lineno


FORMAT = SOURCE / "database" / "format.py"
STORED = ("alarms", "api", "capacity", "check", "database", "insights", "metrics", "recovery", "replication", "scaling",
          "transfer", "triggers", "vectors")  # fmt: skip
"""The packages that handle stored rows. `migration` reads those of older formats."""


@pytest.mark.parametrize("layer", STORED)
def test_only_the_format_takes_stored_keys_apart(layer: str) -> None:
    found = {
        str(path.relative_to(SOURCE)): lines
        for path in (SOURCE / layer).rglob("*.py")
        if path != FORMAT and (lines := list(taken_apart(path)))
    }
    assert not found, f"{FORMAT.name} should do this"


def test_the_format_itself_would_be_found() -> None:
    assert len(list(taken_apart(FORMAT))) > 5
