"""/docs: the page and its files, from here alone, for anyone, with headers that let it do nothing else."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from urllib.parse import urljoin

import pytest

from server.docs import HEADERS, files
from tests.api.client import Api

PAGE = files()["/docs"].read_text()
TYPES = {".html": "text/html", ".js": "text/javascript", ".css": "text/css"}


class Tags(HTMLParser):
    """What the page loads, and what it would run by itself."""

    def __init__(self) -> None:
        super().__init__()
        self.loaded: list[str] = []
        self.inline: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag in ("script", "img", "iframe") or (tag == "link" and given.get("rel") == "stylesheet"):
            self.loaded.append(given.get("src") or given.get("href") or "")
        self.inline += [name for name in given if name.startswith("on") or name == "style"]
        if tag == "style":
            self.inline.append(tag)


def tags() -> Tags:
    found = Tags()
    found.feed(PAGE)
    return found


@pytest.mark.parametrize("path", files())
async def test_everything_is_served_to_anyone_with_its_headers(api: Api, path: str) -> None:
    answer = await api.request("GET", path)
    assert answer.status == 200
    assert answer.body == files()[path].read_bytes()
    assert {name: answer.headers[name] for name in HEADERS} == HEADERS
    assert answer.headers["Content-Type"] == f"{TYPES[files()[path].suffix]}; charset=utf-8"
    head = await api.request("HEAD", path)
    assert (head.status, head.body) == (200, b"")
    again = await api.request("GET", path, headers={"If-None-Match": answer.headers["ETag"]})
    assert (again.status, again.body) == (304, b"")
    assert (await api.request("POST", path)).status == 405


def test_the_headers_allow_what_is_served_here_and_nothing_else() -> None:
    rules = dict(rule.split(" ", 1) for rule in HEADERS["Content-Security-Policy"].split("; "))
    assert rules["default-src"] == "'none'"
    assert rules["frame-ancestors"] == "'none'"
    assert {word for rule in rules.values() for word in rule.split()} == {"'none'", "'self'", "data:"}
    assert [name for name, rule in rules.items() if "data:" in rule] == ["img-src"]
    assert (HEADERS["X-Content-Type-Options"], HEADERS["X-Frame-Options"]) == ("nosniff", "DENY")


def test_the_page_loads_what_is_served_here_and_runs_nothing_of_its_own() -> None:
    found = tags()
    assert found.inline == []
    assert "" not in found.loaded
    # relative, so that it also works behind a proxy that puts a path before it
    assert not [path for path in found.loaded if path.startswith(("/", "http"))]
    assert {urljoin("/docs", path) for path in found.loaded} == set(files()) - {"/docs"}


def test_our_own_files_name_no_other_host() -> None:
    for path, file in files().items():
        if "swagger-ui" not in path:
            hosts = re.findall(r"https?://([^/\"' ]+)", file.read_text())
            assert set(hosts) <= {"127.0.0.1:8080"}, path


def test_the_page_makes_its_reference_from_the_document_and_keeps_no_secret() -> None:
    script = files()["/docs/page.js"].read_text()
    assert 'fetch("openapi.json")' in script
    assert "persistAuthorization: false" in script
    for word in ("localStorage", "sessionStorage", "cookie", "innerHTML", "eval("):
        assert word not in script


async def test_nothing_else_is_below_it(api: Api) -> None:
    for path in ("/docs/", "/docs/page.html", "/docs/__init__.py", "/docs/..%2fapp.py", "/docs/swagger.html"):
        (await api.request("GET", path)).refused(404, 404)
