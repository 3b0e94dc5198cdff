"""What /openapi.json shows by example: a value for every request, and a curl for every call.

A sample has the fields that are required and no other. Keys stand in it as variables of the shell, so that they get into
neither a page nor a history of commands.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from server.calls import Caller

ADDRESS = "http://127.0.0.1:8080"
"""Where `make run` listens; /docs puts its own address in its place."""
FILE_FORM = "application/octet-stream"
"""The media type of a body that is a file, of whatever type the caller says."""
LINES_FORM = "application/x-ndjson"
"""The media type of a body that is lines of JSON, as many as there are."""
_START_AT, _END_AT = 1_767_312_000_000, 1_767_225_600_000
"""A day of history: pages go back in time."""
_BY_NAME: Mapping[str, Any] = {
    "channelId": "alice",
    "channelType": 1,
    "contact_id": "alice",
    "content": '{"content":"Hello"}',
    "conversationIDList": "C2Calice",
    "conversationType": 1,
    "deviceId": "phone",
    "endAt": _END_AT,
    "expiresAt": _START_AT,
    "fromUserId": "bob",
    "identifier": "120363406289005073@g.us",
    "includeStart": True,
    "instance": "bob",
    "maxAgeDays": 365,
    "messageId": "AV2J79uRZSUIAAZgr3-oGBg",
    "messageType": "RC:TxtMsg",
    "messageUID": "AV2J79uRZSUIAAZgr3-oGBg",
    "name": "demo",
    "number": "5511999999999",
    "owner": "bob",
    "reason": "asked by the user",
    "requestId": "AlXcj4QSZSUBAZzPzL_Qd0eViKq1Nn3w9g",
    "startAt": _START_AT,
    "targetId": "alice",
    "toUserId": "alice",
    "userId": "bob",
}
_IN_LISTS: Mapping[str, Any] = {
    "channelIds": "lobby",
    "fromUserIds": "bob",
    "messageIds": "AV2J79uRZSUIAAZgr3-oGBg",
    "toChannelIds": "team",
    "toUserIds": "alice",
    "userIds": "alice",
}
_CHANNELS: Mapping[str, str] = {"group-channel": "team", "open-channel": "lobby"}
"""What a channel is called, by the word of the path that says its type."""
_ALSO: Mapping[str, tuple[str, ...]] = {
    "ClarityConversationCreate": ("contact_id",),
    "NewHold": ("userId",),
    "RyzeArchive": ("number",),
    "RyzeDeleteChat": ("number",),
    "RyzeHistory": ("number",),
    "RyzeLeave": ("number",),
}
"""Fields that their type does not require and the call does."""
_SIGNED = (
    "App-Key: $APP_KEY",
    "Nonce: $NONCE",
    "Timestamp: $TIMESTAMP",
    'Signature: $(printf %s "$APP_SECRET$NONCE$TIMESTAMP" | openssl sha1 -r | cut -c 1-40)',
)
_KEYS: Mapping[Caller, tuple[str, ...]] = {
    Caller.APP: _SIGNED,
    Caller.USER: _SIGNED,
    Caller.BEARER: ("Authorization: Bearer $ACCESS_TOKEN",),
    Caller.KEY: ("Authorization: $API_KEY",),
    Caller.KEY_OR_BEARER: ("Authorization: $API_KEY",),
    Caller.INSTANCE: ("token: $API_KEY",),
    Caller.USERSIG: (),
    Caller.ADMIN: ("Authorization: Bearer $ADMIN_KEY",),
    Caller.ANYONE: (),
}
_USERSIG = "sdkappid=$SDK_APP_ID&identifier=$IDENTIFIER&usersig=$USERSIG&random=1&contenttype=json"
_PREPARE = "NONCE=$(openssl rand -hex 8) TIMESTAMP=$(date +%s)\n"


def sample_request(schema: Mapping[str, Any], schemas: Mapping[str, Any], path: str) -> Any:
    """The request of a path."""
    value = sample(schema, schemas)
    named = [name for word, name in _CHANNELS.items() if word in path]
    for name in named:
        value |= {field: name for field in ("channelId",) if field in value}
        value |= {field: [name] for field in ("channelIds", "toChannelIds") if field in value}
    return value


def sample(schema: Mapping[str, Any], schemas: Mapping[str, Any], name: str = "") -> Any:
    """A value that the schema allows; `schemas` are those that it refers to, `name` is the field that it is of."""
    if "$ref" in schema:
        type_ = schema["$ref"].rpartition("/")[2]
        value = sample(schemas[type_], schemas, name)
        more = {field: _BY_NAME[field] for field in _ALSO.get(type_, ())}
        return value | more if more else value
    if "anyOf" in schema:
        return sample(schema["anyOf"][0], schemas, name)
    for given in (
        schema.get("examples"),
        schema.get("enum"),
        [schema["const"]] if "const" in schema else None,
    ):
        if given:
            return given[0]
    kind = schema.get("type")
    if kind == "object":
        return {
            field: sample(schema["properties"][field], schemas, field) for field in schema.get("required", ())
        }
    if kind == "array":
        return [_IN_LISTS[name] if name in _IN_LISTS else sample(schema["items"], schemas, name)]
    if name in _BY_NAME:
        return _BY_NAME[name]
    if kind == "string":
        return "x" * schema.get("minLength", 1)
    return {"integer": schema.get("minimum", 0), "boolean": True, "number": 0}.get(str(kind))


def curl(
    method: str,
    path: str,
    caller: Caller,
    *,
    query: Mapping[str, Any],
    body: Any = None,
    form: str | None = None,
) -> str:
    """The command, over several lines; `form` is the media type of the body, None where there is none."""
    # a name in the path is a variable too: {appKey} is $APP_KEY
    url = ADDRESS + re.sub(r"{(\w+)}", lambda found: f"${_shouted(found[1])}", path)
    if caller is Caller.USERSIG:
        url += f"?{_USERSIG}"
    elif query:
        url += "?" + "&".join(f"{name}={quote(item)}" for name, item in _fields(query))
    parts = [f"curl -X {method} {_in_shell(url)}"]
    parts += [f"-H {_in_shell(header)}" for header in _KEYS[caller]]
    if form == "application/x-www-form-urlencoded":
        parts += [f"--data-urlencode {shlex.quote(f'{name}={item}')}" for name, item in _fields(body)]
    elif form == FILE_FORM:
        parts += ["-H 'Content-Type: image/png'", "--data-binary @photo.png"]
    elif form == LINES_FORM:
        # -T sends as it reads, and reads the answer meanwhile
        parts += [f"-H 'Content-Type: {form}'", "-T messages.ndjson"]
    elif form is not None:
        text = json.dumps(body, ensure_ascii=False, separators=(",", ":"))
        parts += [f"-H 'Content-Type: {form}'", f"-d {shlex.quote(text)}"]
    return (_PREPARE if _KEYS[caller] is _SIGNED else "") + " \\\n  ".join(parts)


def _shouted(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).upper()


def _in_shell(text: str) -> str:
    """Quoted, with its variables alive where it has some."""
    return f'"{text}"' if "$" in text else shlex.quote(text)


def _fields(values: Mapping[str, Any]) -> Sequence[tuple[str, str]]:
    """A list is its name again and again, an object name[key] for each of its keys."""
    found = []
    for name, value in values.items():
        if isinstance(value, dict):
            found += [(f"{name}[{key}]", str(item)) for key, item in value.items()]
        else:
            found += [(name, str(item)) for item in (value if isinstance(value, list) else [value])]
    return found
