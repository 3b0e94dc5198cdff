"""The pages say what the code does: settings, variables, commands, jobs, routes, fields, errors, paths and links."""

from __future__ import annotations

import dataclasses
import inspect as source_of
import json
import pkgutil
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import click
import msgspec
import pytest
from msgspec import inspect

from cli.main import main
from history.apps.model import AppSettings
from history.config import Settings
from server.app import MOST_BODY_BYTES
from server.calls import Caller
from server.errors import ANSWERS
from server.routes import ROUTES
from server.surface import Route
from server.wire.admin import SettingsPatch, SettingsView
from server.wire.messages import Send
from worker.settings import JOBS

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *sorted(ROOT.glob("docs/*.md"))]
TEXTS = {path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8") for path in PAGES}
API, OPERATIONS = TEXTS["docs/api.md"], TEXTS["docs/operations.md"]
_FENCE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
_VARIABLE = re.compile(r"\bTIDEMARK_[A-Z_]*[A-Z]\b")


def section(page: str, title: str) -> str:
    """What stands below a heading, up to the next one of its level or above, without its examples."""
    return _FENCE.sub("", whole_section(page, title))


def whole_section(page: str, title: str) -> str:
    """The same with its examples."""
    level = len(title) - len(title.lstrip("#"))
    # a comment in an example is no heading
    hidden = _FENCE.sub(lambda fence: re.sub(r"^#", "\x00", fence[0], flags=re.MULTILINE), page)
    _, found, rest = f"\n{hidden}".partition(f"\n{title}\n")
    assert found, f"there is no heading {title!r}"
    return re.split(rf"^#{{1,{level}}} ", rest, maxsplit=1, flags=re.MULTILINE)[0].replace("\x00", "#")


def rows(text: str) -> list[list[str]]:
    """The cells of a table, without its head."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def named(cell: str) -> list[str]:
    """What stands in backticks."""
    return re.findall(r"`([^`]+)`", cell)


def unfenced(name: str) -> str:
    """A page without its examples."""
    return _FENCE.sub("", TEXTS[name])


# settings and variables


def range_of(name: str) -> str:
    """The range that the parser checks, in the words of the table."""
    described: Any = inspect.type_info(SettingsPatch)
    (found,) = (field for field in described.fields if field.name == name)
    (type_,) = (part for part in found.type.types if not isinstance(part, inspect.NoneType))
    if isinstance(type_, inspect.BoolType):
        return "true or false"
    if isinstance(type_, inspect.StrType):
        return f"{type_.min_length} to {type_.max_length} characters"
    return f"{type_.ge} to {type_.le}"


def test_every_app_setting_has_its_default_and_range() -> None:
    documented = {named(row[0])[0]: row for row in rows(section(OPERATIONS, "## App settings"))}
    outside = dict(zip(SettingsView.__struct_fields__, SettingsView.__struct_encode_fields__, strict=True))
    # confirm is a word about a change, no setting
    assert set(SettingsPatch.__struct_fields__) == {*outside, "confirm"}
    settings = dataclasses.asdict(AppSettings())
    assert set(settings) == set(outside)
    assert set(documented) == set(outside.values())
    for name, value in settings.items():
        row = documented[outside[name]]
        assert json.loads(named(row[1])[0]) == value, name
        assert row[2] == range_of(name), name
        assert all(row[4:6]), f"{name}: what it does, and when it takes effect"


def test_every_environment_variable_has_a_row() -> None:
    table = {named(row[0])[0]: row for row in rows(section(OPERATIONS, "## Environment variables"))}
    assert set(table) == set(_VARIABLE.findall((ROOT / "history" / "config.py").read_text()))
    defaults = {field.name: field.default for field in dataclasses.fields(Settings)}
    for name, row in table.items():
        default = defaults.get(name.removeprefix("TIDEMARK_").lower(), dataclasses.MISSING)
        if default is not dataclasses.MISSING:
            assert row[1] == f"`{default}`", name


@pytest.mark.parametrize("page", TEXTS)
def test_no_page_names_a_variable_that_nothing_reads(page: str) -> None:
    read = {
        name
        for path in (
            *ROOT.glob("history/*.py"),
            *ROOT.glob("cli/*.py"),
            ROOT / "compose.yaml",
            ROOT / "tests" / "conftest.py",
        )
        for name in _VARIABLE.findall(path.read_text())
    }
    assert set(_VARIABLE.findall(TEXTS[page])) <= read


def commands(group: click.Group, words: str = "tidemark") -> Iterator[tuple[str, click.Command]]:
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from commands(command, f"{words} {name}")
        else:
            yield f"{words} {name}", command


def test_every_command_is_listed_with_its_options() -> None:
    listed = {named(row[0])[0] for row in rows(section(OPERATIONS, "## Commands"))}
    there = dict(commands(main))
    assert {re.match(r"tidemark( [a-z-]+)+", words)[0] for words in listed} == set(there)  # type: ignore[index]
    for words in listed:
        command = there[re.match(r"tidemark( [a-z-]+)+", words)[0]]  # type: ignore[index]
        options = {part.opts[0] for part in command.params if isinstance(part, click.Option)}
        assert set(re.findall(r"--[a-z-]+", words)) == options, words


def test_every_job_has_a_row() -> None:
    documented = [named(row[0])[0] for row in rows(section(OPERATIONS, "## Jobs"))]
    assert documented == [job.__name__ for job in JOBS]


def test_every_table_whose_rows_end_has_its_settings() -> None:
    documented = {
        named(row[0])[0]: named(row[2]) for row in rows(section(OPERATIONS, "## What ends by itself"))
    }
    deleted = [
        table
        for feature in ("retention", "sweep", "jobs", "media")
        for table in re.findall(
            r"DELETE FROM (\w+)", (ROOT / "history" / feature / "queries.sql").read_text(encoding="utf-8")
        )
    ]
    assert set(documented) == set(deleted) - {"messages"}
    periods = {name for name in SettingsPatch.__struct_encode_fields__ if name.endswith(("Days", "Hours"))}
    used = {name for names in documented.values() for name in names}
    assert used == periods - {"compensationDays", "missedDays"}


# the API


def heading(route: Route) -> str:
    return f"### `{route.method} {route.path}`"


def field_names(type_: type[msgspec.Struct], prefix: str = "") -> list[str]:
    """The fields of a request; those of a list's objects as list[].field."""
    names: list[str] = []
    described: Any = inspect.type_info(type_)
    for field in described.fields:
        names.append(prefix + field.encode_name)
        item = getattr(field.type, "item_type", None)
        if isinstance(item, inspect.StructType):
            names += field_names(item.cls, f"{prefix}{field.encode_name}[].")
    return names


COMMON = [named(row[0])[0] for row in rows(section(API, "### What every send has"))]
SENDS = {route.path for route in ROUTES if route.body is not None and issubclass(route.body, Send)}


def idle_fields() -> dict[str, set[str]]:
    """Path by path the fields that the page calls checked and not acted on."""
    found: dict[str, set[str]] = {}
    for row in rows(section(API, "## Fields that are checked and not acted on")):
        paths = {f"/v4/{path}" for path in named(row[2])} | (SENDS if "every send" in row[2] else set())
        for path in paths:
            found.setdefault(path, set()).update(named(row[0]))
    return found


IDLE = idle_fields()


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route.method} {route.path}")
def test_every_route_has_a_section_with_its_fields(route: Route) -> None:
    text = section(API, heading(route))
    if "The same call" in text:
        return
    if route.body is None:
        asked = field_names(route.query) if route.query is not None else []
        assert sorted(name for row in rows(text) for name in named(row[0])) == sorted(asked)
        return
    documented = [name for row in rows(text) for name in named(row[0])]
    common = COMMON if route.path in SENDS else []
    assert sorted([*documented, *common, *IDLE.get(route.path, ())]) == sorted(field_names(route.body))


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route.method} {route.path}")
def test_a_section_says_whether_users_may_call(route: Route) -> None:
    words = " ".join(section(API, heading(route)).split())
    assert ("Also with an access token of `userId`." in words) == (route.caller is Caller.USER)


def answers() -> dict[type[msgspec.Struct], list[Route]]:
    found: dict[type[msgspec.Struct], list[Route]] = {}
    for route in ROUTES:
        for result in (route.result, route.other_result):
            if result is not None:
                found.setdefault(result, []).append(route)
    return found


def answer_fields(type_: type[msgspec.Struct]) -> set[str]:
    """The fields of an answer and of all objects in it, by their last name."""
    schema = msgspec.json.schema_components([type_])[1]
    return {name for object_ in schema.values() for name in object_.get("properties", ())}


@pytest.mark.parametrize("type_", answers(), ids=lambda type_: type_.__name__)
def test_every_field_of_an_answer_is_shown(type_: type[msgspec.Struct]) -> None:
    text = "".join(whole_section(API, heading(route)) for route in answers()[type_])
    shown = set(re.findall(r'"(\w+)":', text)) | set(named(_FENCE.sub("", text)))
    assert answer_fields(type_) <= shown


def test_no_section_is_about_a_route_that_is_not_there() -> None:
    there = {heading(route) for route in ROUTES} | {"### `GET /openapi.json`", "### `GET /docs`"}
    assert set(re.findall(r"^### `.*$", API, re.MULTILINE)) == there


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route.method} {route.path}")
def test_the_fields_that_are_not_acted_on_are_those_that_no_handler_reads(route: Route) -> None:
    if route.body in (None, SettingsPatch):
        return
    assert route.body is not None
    handlers = source_of.getsource(sys.modules[route.handler.__module__])
    read = set(re.findall(r"\bbody\.(\w+)", handlers))
    assert IDLE.get(route.path, set()) == set(route.body.__struct_fields__) - read


def test_fields_that_are_not_acted_on_belong_to_routes() -> None:
    assert set(IDLE) <= {route.path for route in ROUTES}


def test_every_error_has_its_code_and_status() -> None:
    documented = {
        named(row[0])[0]: (int(row[1]), int(row[2]), bool(row[3] and row[4]))
        for row in rows(section(API, "## Errors"))
    }
    assert documented == {
        class_.__name__: (answer.code, answer.status, True) for class_, answer in ANSWERS.items()
    }


def test_the_largest_body_is_the_one_that_is_documented() -> None:
    assert f"at most {MOST_BODY_BYTES // 1024 // 1024} MiB" in API


# words, paths, links


def test_the_readme_is_short() -> None:
    assert len(TEXTS["README.md"].splitlines()) < 150


@pytest.mark.parametrize("page", TEXTS)
def test_every_path_that_a_page_names_exists(page: str) -> None:
    top = {path.name for path in ROOT.iterdir()}
    for words in re.findall(r"`([^`\n]+)`", unfenced(page)):
        path = words.split(":")[0]
        if path.split("/")[0] in top and re.fullmatch(r"[\w./-]+", path):
            assert (ROOT / path).exists(), path


@pytest.mark.parametrize("page", TEXTS)
def test_every_python_name_that_a_page_uses_exists(page: str) -> None:
    for words in re.findall(r"`((?:history|server|worker|cli)(?:\.(?!log\b)\w+)+)`", unfenced(page)):
        pkgutil.resolve_name(words)


@pytest.mark.parametrize("page", TEXTS)
def test_every_make_word_exists(page: str) -> None:
    there = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"`make ([a-z-]+)`", TEXTS[page])) <= there


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as the usual renderers make them."""
    headings = re.findall(r"^#+ (.*)$", _FENCE.sub("", page.read_text(encoding="utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in headings}


@pytest.mark.parametrize("page", TEXTS)
def test_every_relative_link_resolves(page: str) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", unfenced(page)):
        if "://" in target:
            continue
        path, _, anchor = unquote(target).partition("#")
        linked = (ROOT / page).parent / path if path else ROOT / page
        assert linked.exists(), target
        if anchor:
            assert anchor in anchors(linked), target


@pytest.mark.parametrize("page", TEXTS)
def test_every_block_of_sql_that_a_page_names_exists(page: str) -> None:
    blocks = {
        f"{path.parent.name}.{name}"
        for path in ROOT.glob("history/*/queries.sql")
        for name in re.findall(r"^-- (?:name|rule): (\w+)$", path.read_text(), re.MULTILINE)
    }
    included = set(re.findall(r"\{\{(\w+\.\w+)\}\}", TEXTS[page])) - {"feature.rule"}
    assert included <= blocks
    if page == "docs/architecture.md":
        short = {name.partition(".")[2] for name in blocks}
        for row in rows(section(TEXTS[page], "## The four rules, and where each lives")):
            assert set(named(row[3])) <= short
