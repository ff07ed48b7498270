"""Write the models in `src/atoll/botocore_models` from the installed botocore: `make models`."""

from __future__ import annotations

import gzip
import json
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

import botocore

from atoll.botocore_models import FOLDER, SERVICES

DATA = Path(botocore.__file__).parent / "data"
LICENCES = ("LICENSE.txt", "NOTICE")


def expected() -> dict[str, str]:
    """The content of each file, by its name."""
    files = {f"{service}.json": _json(_without_documentation(_newest(service))) for service in SERVICES}
    files["regions.json"] = _json(_regions())
    files["VERSION"] = botocore.__version__ + "\n"
    return files | {name: _licence(name) for name in LICENCES}


def _newest(service: str) -> Any:
    packed = max((DATA / service).iterdir()) / "service-2.json.gz"
    return json.loads(gzip.decompress(packed.read_bytes()))


def _without_documentation(value: Any) -> Any:
    if isinstance(value, list):
        return [_without_documentation(one) for one in value]
    if not isinstance(value, dict):
        return value
    # A member of a structure may have this name too; what it has is no text.
    kept = {key: one for key, one in value.items() if key != "documentation" or not isinstance(one, str)}
    return {key: _without_documentation(one) for key, one in kept.items()}


def _regions() -> dict[str, str]:
    partitions = json.loads((DATA / "endpoints.json").read_bytes())["partitions"]
    return {name: one["description"] for partition in partitions for name, one in partition["regions"].items()}


def _licence(name: str) -> str:
    found = next(file for file in distribution("botocore").files or () if file.name == name)
    return found.read_text(encoding="utf-8")


def _json(value: Any) -> str:
    return json.dumps(value, indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    for file, content in expected().items():
        (FOLDER / file).write_text(content, encoding="utf-8")
    print(f"wrote the models of botocore {botocore.__version__}")
