"""The documentation is complete, and its examples work."""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.request import ProxyHandler, build_opener

import pytest

from atoll import testing
from atoll.api import services
from atoll.cli import parser_of
from documentation import reference

urlopen = build_opener(ProxyHandler({})).open

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("examples/**/*.md")])

OPTION_ROW = re.compile(r"^\| `(--[a-z0-9-]+)` \| `([A-Z0-9_]+)` \| (.+?) \| .+ \|$", re.MULTILINE)


def blocks(page: str, language: str) -> list[str]:
    block = rf"^```{language}(?: title=.+?)?\n(.*?)^```$"
    return re.findall(block, (ROOT / page).read_text(), re.MULTILINE | re.DOTALL)


def options(command: str, parser: argparse.ArgumentParser) -> Iterator[tuple[str, argparse.Action]]:
    """The options of a command and of those below it: (command, option)."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for name, below in action.choices.items():
                yield from options(name, below)
        elif action.option_strings and action.dest != "help":
            yield command, action


@pytest.fixture(autouse=True)
def no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith(("ATOLL_", "AWS_"))]:
        monkeypatch.delenv(name)


class TestConfiguration:
    PAGE = (ROOT / "docs" / "configuration.md").read_text()
    COMMANDS = (ROOT / "docs" / "command-line.md").read_text()

    def test_the_table_has_every_server_option_with_its_variable_and_default(self) -> None:
        rows = OPTION_ROW.findall(self.PAGE)
        documented = {option: (variable, default) for option, variable, default in rows}
        assert len(documented) == len(rows), "an option stands in the table twice"
        for command, action in options("", parser_of()):
            if command != "serve":
                continue
            (name,) = action.option_strings
            given = ",".join(action.default) if isinstance(action.default, list) else action.default
            default = "off" if action.const is True else f"`{given}`" if given else "none"
            assert documented.pop(name, None) == ("ATOLL_" + action.dest.upper(), default), name
        assert not documented, "these options are not there any more"

    def test_every_choice_is_named(self) -> None:
        for _, action in options("", parser_of()):
            for choice in action.choices or ():
                assert re.search(rf"`{choice}`|{action.option_strings[0]} {choice}`", self.PAGE + self.COMMANDS), action

    def test_every_option_of_other_commands_is_named(self) -> None:
        there = {name for _, action in options("", parser_of()) for name in action.option_strings}
        pages = (
            self.PAGE
            + self.COMMANDS
            + "".join(
                (ROOT / "docs" / page).read_text()
                for page in ("console.md", "files.md", "upgrading.md", "checking.md", "replicate.md", "security.md")
            )
        )
        named = set(re.findall(r"--[a-z][a-z0-9-]*", re.sub(r"<!--.*?-->", "", pages, flags=re.DOTALL)))
        regions = set(re.findall(r"--[a-z][a-z0-9-]*", (ROOT / "docs" / "regions.md").read_text()))
        assert there - {"--version"} <= named | regions
        assert named - {"--help"} <= there, "these options are not there any more"


class TestLinks:
    @pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
    def test_links_lead_somewhere(self, page: Path) -> None:
        for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
            if target.startswith(("https://", "http://", "mailto:")):
                continue
            path, _, anchor = target.partition("#")
            if path in reference.PAGES:
                continue
            linked = page if not path else page.parent / path
            assert linked.exists(), f"{target} leads nowhere"
            if anchor:
                assert anchor in anchors(linked.read_text()), f"{target}: there is no such heading"


class TestBlocks:
    AS_TESTS = ("testing.md", "regions.md")
    """Pages whose programs are tests, which `TestExamples` runs."""

    @pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
    def test_every_program_is_saved_by_the_name_by_which_the_page_runs_it(self, page: Path) -> None:
        """`make pages` saves blocks with a title and runs the page's commands."""
        programs = re.findall(r"^```(python|js|java)( title=\".+\")?$", page.read_text(), re.MULTILINE)
        assert page.name in self.AS_TESTS or all(title for _, title in programs)


class TestReference:
    def test_operations_administration_and_commands_are_complete(self) -> None:
        shown = reference.operations() + reference.administration()
        assert [one for one in services.OPERATIONS if one.name not in shown] == []
        options_there = {name for _, action in options("", parser_of()) for name in action.option_strings}
        assert options_there - {"--version", "-h", "--help"} <= set(re.findall(r"--[a-z0-9-]+", reference.commands()))

    def test_nearly_all_errors_are_shown(self) -> None:
        """A few compute with their arguments, so placeholders do not do."""
        makers, shown = reference.counted()
        assert shown > 0.97 * makers > 500


class TestModules:
    @pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
    def test_the_modules_that_a_page_names_exist(self, page: Path) -> None:
        """A page named a module that had been renamed."""
        for named in re.findall(r"`([a-z_]+(?:/[a-z_]+)+)(?:\.py|/)?`", page.read_text()):
            places = [base / named for base in (ROOT, ROOT / "src" / "atoll")]
            assert any(place.is_dir() or place.with_suffix(".py").is_file() for place in places), named


def anchors(text: str) -> set[str]:
    """The anchors of the headings, as forges make them."""
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


class TestExamples:
    def test_the_first_program_prints_the_output_in_the_readme(self, tmp_path: Path) -> None:
        (program,) = blocks("README.md", "python")
        (printed,) = blocks("README.md", "text")
        exports = dict(re.findall(r"export (\w+)=(\S+)", "".join(blocks("README.md", "sh"))))
        assert exports["AWS_ENDPOINT_URL"] == "http://127.0.0.1:8000"
        with testing.serve() as server:
            variables = os.environ | exports | {"AWS_ENDPOINT_URL": server.endpoint_url, "NO_PROXY": "*"}
            (tmp_path / "first.py").write_text(program)
            done = subprocess.run(
                [sys.executable, "first.py"], cwd=tmp_path, env=variables, capture_output=True, text=True
            )
        assert done.stdout == printed, done.stderr

    def test_the_examples_about_testing_pass(self, tmp_path: Path) -> None:
        examples = [*blocks("docs/testing.md", "python"), *blocks("docs/regions.md", "python")]
        for number, example in enumerate(examples):
            (tmp_path / f"test_{number}.py").write_text(example)
        command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-q"]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout
        assert len(examples) == 8

    def test_the_examples_move_the_clock_and_streams_of_a_separate_server(self) -> None:
        shown = "".join(blocks("docs/testing.md", "sh"))
        requests = re.findall(r"^curl localhost:8000/_atoll/(\S+)(?: -d '(.+?)')?", shown, re.MULTILINE)
        assert len(requests) == 8
        with testing.serve() as server:
            for path, body in requests:
                if path.startswith("streams/"):
                    body = body.replace("arn:aws:dynamodb:...", stream_of_orders(server))
                with urlopen(f"{server.endpoint_url}/_atoll/{path}", body.encode() or None) as answer:
                    assert answer.status == 200

    def test_the_faults_of_links_are_set_as_shown(self) -> None:
        shown = "".join(blocks("docs/regions.md", "sh"))
        requests = re.findall(r"^curl localhost:8000/_atoll/(\S+/links)(?: -d '(.+?)')?", shown, re.MULTILINE)
        assert len(requests) == 3
        with testing.serve(regions=["us-east-1", "eu-west-1"]) as server:
            for path, body in requests:
                with urlopen(f"{server.endpoint_url}/_atoll/{path}", body.encode() or None) as answer:
                    link = json.loads(answer.read())["links"][0]
        assert (link["from"], link["to"], link["partition"], link["delay_ms"]) == ("us-east-1", "eu-west-1", False, 200)

    def test_the_checks_of_a_running_server_are_as_shown(self) -> None:
        shown = "".join(blocks("docs/checking.md", "sh"))
        requests = re.findall(r"^curl( -X POST)? localhost:8000(/_atoll/\S+)(?: -d '(.+?)')?", shown, re.MULTILINE)
        assert len(requests) == 3
        with testing.serve() as server:
            for post, path, body in requests:
                data = body.encode() if post else None
                with urlopen(f"{server.endpoint_url}{path}", data) as answer:
                    (checked,) = json.loads(answer.read())["regions"].values()
                    assert checked["state"] == "done" and checked["report"]["clean"]


def stream_of_orders(server: testing.LocalServer) -> str:
    """The ARN, of tables made in two regions where they are not there yet."""
    for region in (server.region, "eu-west-1"):
        client = server.client(region_name=region)
        if not client.list_tables()["TableNames"]:
            client.create_table(
                TableName="Orders",
                KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
                AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
                BillingMode="PAY_PER_REQUEST",
                StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"},
            )
    return server.client().describe_table(TableName="Orders")["Table"]["LatestStreamArn"]
