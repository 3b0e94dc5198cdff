"""The samples of /openapi.json: right by their own schemas, and curls that a shell can run as they are."""

from __future__ import annotations

import asyncio
import os
import shutil
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from server.calls import Caller
from server.openapi import describe
from server.routes import ALL_ROUTES
from server.samples import ADDRESS, FILE_FORM, curl, sample
from server.surface import Route
from tests.api.client import Api
from tests.surfaces import tencent

DOCUMENT = describe(ALL_ROUTES)
ROUTES = {f"{route.method} {route.path}": route for route in ALL_ROUTES}
# the samples name things that are not there
NOT_THERE = {404}
NEEDS_WHAT_IS_THERE = {
    "POST /v4/message/explain": {400},
    "POST /v4/user/message/ack": {400},
    "POST /v4/user/conversation/read": {400},
    # a policy that takes messages from view wants to be confirmed
    "PUT /admin/apps/{appKey}/policies/{channelType}": {409},
    "PUT /admin/apps/{appKey}/policies/{channelType}/{channelId}": {409},
}
TOOLS = pytest.mark.skipif(
    not all(map(shutil.which, ("sh", "curl", "openssl"))), reason="needs sh, curl and openssl"
)


def operation(route: Route) -> dict[str, Any]:
    found: dict[str, Any] = DOCUMENT["paths"][route.path][route.method.lower()]
    return found


def source(route: Route) -> str:
    (only,) = operation(route)["x-codeSamples"]
    text: str = only["source"]
    return text


@pytest.mark.parametrize("name", ROUTES)
def test_the_example_of_a_request_is_right_by_its_schema(name: str) -> None:
    route = ROUTES[name]
    found = operation(route)
    for media in found.get("requestBody", {}).get("content", {}).values():
        if media["schema"].get("format") == "binary":
            assert "example" not in media
            continue
        schema = {**media["schema"], "components": DOCUMENT["components"]}
        jsonschema_rs.validate(schema, media["example"])
    for parameter in found.get("parameters", ()):
        if parameter["in"] == "query" and parameter["required"]:
            jsonschema_rs.validate(parameter["schema"], parameter["example"])


def test_every_operation_is_listed_under_a_word() -> None:
    words = {tuple(operation(route)["tags"]) for route in ALL_ROUTES}
    assert {("v4 channel",), ("v4 user",), ("admin",), ("media",), ("health",), ("DoubleTick",)} <= words


@pytest.fixture
async def variables(api: Api) -> dict[str, str]:
    """What a reader of the page has in his shell."""
    await api.set(cleanRateLimit=0, tencentSdkAppId=tencent.APP_ID, tencentKey=tencent.KEY)
    issued = await api.do("auth/access-token/issue", userId="bob", name="bob")
    return {
        **os.environ,
        "APP_KEY": api.keys.app_key,
        "APP_SECRET": api.keys.secret,
        "API_KEY": api.keys.api_key,
        "ADMIN_KEY": api.admin_key,
        "ACCESS_TOKEN": issued["accessToken"],
        "KEY_ID": "00000000-0000-0000-0000-000000000000",
        "HOLD_ID": "00000000-0000-0000-0000-000000000000",
        "SDK_APP_ID": str(tencent.APP_ID),
        "IDENTIFIER": tencent.ADMIN,
        "USERSIG": tencent.usersig(api.now_ms // 1000),
        "ID": "0" * 16,
        "MEDIA_ID": "0" * 22,
        "CHANNEL_TYPE": "3",
        "CHANNEL_ID": "team",
        "INSTANCE": "bob",
    }


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where he stands: with a picture to upload, and lines to import."""
    (tmp_path / "photo.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    (tmp_path / "messages.ndjson").write_bytes(b'{"channelType":3}\n')
    return tmp_path


async def shell(script: str, variables: dict[str, str], folder: Path) -> str:
    """What it writes."""
    process = await asyncio.create_subprocess_exec(
        *("sh", "-euc", script),
        env=variables,
        cwd=folder,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    written, complaints = await process.communicate()
    assert process.returncode == 0, complaints
    return written.decode()


@TOOLS
async def test_every_curl_runs_and_is_let_in(api: Api, variables: dict[str, str], folder: Path) -> None:
    address = str(api.client.make_url("")).rstrip("/")
    for name, route in ROUTES.items():
        if route.path.endswith("/secret"):
            # it would take the others' key away
            continue
        script = source(route).replace(ADDRESS, address) + " -s -o /dev/null -w '%{http_code}'"
        status = int(await shell(script, variables, folder))
        assert status in {route.status, *NOT_THERE, *NEEDS_WHAT_IS_THERE.get(name, ())}, name


@TOOLS
async def test_without_the_right_keys_no_curl_is_let_in(
    api: Api, variables: dict[str, str], folder: Path
) -> None:
    address = str(api.client.make_url("")).rstrip("/")
    wrong = dict.fromkeys(("APP_SECRET", "API_KEY", "ADMIN_KEY", "ACCESS_TOKEN", "USERSIG"), "x")
    for caller in set(Caller) - {Caller.ANYONE}:
        for route in [route for route in ALL_ROUTES if route.caller is caller][:1]:
            script = source(route).replace(ADDRESS, address) + " -s -o /dev/null -w '%{http_code}'"
            # Tencent's clients look into the body alone
            expected = "200" if caller is Caller.USERSIG else "401"
            assert await shell(script, variables | wrong, folder) == expected, route


def test_forms_queries_and_quotes_are_written_as_a_shell_wants_them() -> None:
    body = {"to": ["a b", "c"], "text": "it's $HOME"}
    form = "application/x-www-form-urlencoded"
    assert curl("POST", "/x/{someId}", Caller.KEY, query={}, body=body, form=form) == (
        f'curl -X POST "{ADDRESS}/x/$SOME_ID" \\\n'
        '  -H "Authorization: $API_KEY" \\\n'
        "  --data-urlencode 'to=a b' \\\n"
        "  --data-urlencode to=c \\\n"
        "  --data-urlencode 'text=it'\"'\"'s $HOME'"
    )
    sent = curl("POST", "/x", Caller.KEY_OR_BEARER, query={}, form=FILE_FORM)
    assert sent.splitlines()[2:] == ["  -H 'Content-Type: image/png' \\", "  --data-binary @photo.png"]
    asked = curl("GET", "/x", Caller.ANYONE, query={"a": "1&2", "b": [3, 4]})
    assert asked == f"curl -X GET '{ADDRESS}/x?a=1%262&b=3&b=4'"


def test_a_sample_has_what_is_required_and_no_more() -> None:
    schemas = {
        "Inner": {"type": "object", "properties": {"n": {"type": "integer", "minimum": 7}}, "required": ["n"]}
    }
    schema = {
        "type": "object",
        "properties": {
            "items": {"type": "array", "items": {"$ref": "#/components/schemas/Inner"}},
            "kind": {"enum": ["one", "two"]},
            "maybe": {"anyOf": [{"type": "boolean"}, {"type": "null"}]},
            "text": {"type": "string", "minLength": 3},
            "given": {"type": "string", "examples": ["this"]},
            "left": {"type": "string"},
        },
        "required": ["items", "kind", "maybe", "text", "given"],
    }
    assert sample(schema, schemas) == {
        "items": [{"n": 7}],
        "kind": "one",
        "maybe": True,
        "text": "xxx",
        "given": "this",
    }
