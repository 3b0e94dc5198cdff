"""The pages say what the code does: settings, variables, routes, fields, errors, paths and links."""

from __future__ import annotations

import dataclasses
import json
import pkgutil
import re
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import msgspec
import pytest
from msgspec import inspect

from cli.main import main
from history.apps.model import AppSettings
from history.config import Settings
from server import wire
from server.app import MOST_BODY_BYTES
from server.calls import Route
from server.errors import ANSWERS
from server.routes import ROUTES

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *sorted(ROOT.glob("docs/*.md"))]
TEXTS = {path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8") for path in PAGES}
API, OPERATIONS = TEXTS["docs/api.md"], TEXTS["docs/operations.md"]
_FENCE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
_VARIABLE = re.compile(r"\bTIDEMARK_[A-Z_]*[A-Z]\b")


def section(page: str, title: str) -> str:
    """What stands below a heading, up to the next one of its level or above."""
    level = len(title) - len(title.lstrip("#"))
    _, found, rest = f"\n{_FENCE.sub('', page)}".partition(f"\n{title}\n")
    assert found, f"there is no heading {title!r}"
    return re.split(rf"^#{{1,{level}}} ", rest, maxsplit=1, flags=re.MULTILINE)[0]


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
    described: Any = inspect.type_info(wire.SettingsPatch)
    (found,) = (field for field in described.fields if field.name == name)
    (type_,) = (part for part in found.type.types if not isinstance(part, inspect.NoneType))
    if isinstance(type_, inspect.BoolType):
        return "true or false"
    if isinstance(type_, inspect.StrType):
        return f"{type_.min_length} to {type_.max_length} characters"
    return f"{type_.ge} to {type_.le}"


def test_every_app_setting_has_its_default_and_range() -> None:
    documented = {named(row[0])[0]: row for row in rows(section(OPERATIONS, "## App settings"))}
    outside = dict(
        zip(wire.SettingsPatch.__struct_fields__, wire.SettingsPatch.__struct_encode_fields__, strict=True)
    )
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
        for path in (*ROOT.glob("history/*.py"), ROOT / "compose.yaml", ROOT / "tests" / "conftest.py")
        for name in _VARIABLE.findall(path.read_text())
    }
    assert set(_VARIABLE.findall(TEXTS[page])) <= read


def test_every_command_is_listed() -> None:
    listed = {words for row in rows(section(OPERATIONS, "## Commands")) for words in named(row[0])}
    for name in main.commands:
        assert any(words.startswith(f"tidemark {name}") for words in listed), name


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


IDLE = [named(row[0])[0] for row in rows(section(API, "## Fields that are checked and not acted on"))]


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route.method} {route.path}")
def test_every_route_has_a_section_with_its_fields(route: Route) -> None:
    text = section(API, heading(route))
    if route.body is None or "The same call" in text:
        return
    documented = [name for row in rows(text) for name in named(row[0])]
    idle = IDLE if route.body is wire.DirectSend else []
    assert sorted(documented + idle) == sorted(field_names(route.body))


def test_no_section_is_about_a_route_that_is_not_there() -> None:
    there = {heading(route) for route in ROUTES} | {"### `GET /openapi.json`"}
    assert set(re.findall(r"^### `.*$", API, re.MULTILINE)) == there


def test_the_fields_that_are_not_acted_on_are_those_that_no_handler_reads() -> None:
    handler = (ROOT / "server" / "handlers" / "messages.py").read_text()
    read = {name for name in wire.DirectSend.__struct_fields__ if f"body.{name}" in handler}
    assert set(IDLE) == set(wire.DirectSend.__struct_fields__) - read


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
