"""The models that Atoll carries are those of the botocore that VERSION names."""

from __future__ import annotations

import json

from atoll.api.services import OPERATIONS
from atoll.botocore_models import FOLDER, SERVICES, read
from tests.packages.models import LICENCES, expected

VERSION = (FOLDER / "VERSION").read_text().strip()


def test_every_served_service_has_its_model() -> None:
    assert {one.service.model for one in OPERATIONS if one.service.model} == set(SERVICES)


def test_the_models_are_those_of_botocore() -> None:
    """Of a newer botocore than VERSION names only the operations are compared."""
    found = expected()
    if found["VERSION"].strip() != VERSION:
        for service in SERVICES:
            assert read(service)["operations"].keys() <= json.loads(found[f"{service}.json"])["operations"].keys()
        return
    for name, content in found.items():
        assert (FOLDER / name).read_text(encoding="utf-8") == content, f"{name} differs: run `make models`"


def test_the_package_of_models_has_no_other_files() -> None:
    names = {f"{service}.json" for service in SERVICES} | {"regions.json", "VERSION", *LICENCES, "__init__.py"}
    assert {path.name for path in FOLDER.iterdir() if path.is_file()} == names
