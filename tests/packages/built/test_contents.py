"""The contents of the source distribution and the wheel."""

from __future__ import annotations

import tarfile
import zipfile
from email.parser import Parser
from pathlib import Path

from atoll import __version__
from tests.packages.built.conftest import ROOT, UV, run

SOURCE = {
    str(path.relative_to(ROOT / "src"))
    for path in (ROOT / "src" / "atoll").rglob("*")
    if path.is_file() and "__pycache__" not in path.parts
}


def names_in(wheel: Path) -> list[str]:
    return zipfile.ZipFile(wheel).namelist()


def test_the_wheel_has_the_program_and_nothing_else(wheel: Path) -> None:
    info = f"atoll-{__version__}.dist-info/"
    assert {name for name in names_in(wheel) if not name.startswith(info)} == SOURCE
    assert {"atoll/py.typed", "atoll/botocore_models/dynamodb.json", "atoll/botocore_models/NOTICE"} <= SOURCE


def test_the_wheel_carries_the_licences_of_its_parts(wheel: Path) -> None:
    licences = f"atoll-{__version__}.dist-info/licenses/"
    found = {name.removeprefix(licences) for name in names_in(wheel) if name.startswith(licences)}
    models = "src/atoll/botocore_models"
    assert found == {"LICENSE", f"{models}/LICENSE.txt", f"{models}/NOTICE"}


def test_the_metadata(wheel: Path) -> None:
    content = zipfile.ZipFile(wheel).read(f"atoll-{__version__}.dist-info/METADATA").decode()
    told = Parser().parsestr(content)
    needed = [one for one in told.get_all("Requires-Dist", []) if "extra ==" not in one]
    assert not any("boto" in one for one in needed)
    assert told["Requires-Python"] == ">=3.11"
    assert told["License-Expression"] == "Apache-2.0"
    assert told["Description-Content-Type"] == "text/markdown"
    assert told.get_payload() == (ROOT / "README.md").read_text()


def test_the_source_distribution_has_no_tests_and_builds_the_same_wheel(
    sdist: Path, wheel: Path, tmp_path: Path
) -> None:
    with tarfile.open(sdist) as packed:
        names = [name.partition("/")[2] for name in packed.getnames()]
        packed.extractall(tmp_path)
    tops = {name.partition("/")[0] for name in names}
    assert tops == {"src", "docs", "CHANGELOG.md", "LICENSE", "README.md", "PKG-INFO", "pyproject.toml", ".gitignore"}
    (folder,) = tmp_path.iterdir()
    run(UV, "build", "--quiet", "--wheel", "--out-dir", str(tmp_path / "again"), str(folder))
    (again,) = (tmp_path / "again").glob("*.whl")
    assert names_in(again) == names_in(wheel)
