"""Commands to try a running `up` with: they sign and send a request as any client of the v4 API would."""

from __future__ import annotations

import json
import shlex
import sys
import time
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import click

from cli.backend import DEFAULT_DATA, Backend, find
from cli.errors import Refused, reason

_DAY_MS = 86_400_000
_data = click.option(
    "--data", type=click.Path(path_type=Path), default=DEFAULT_DATA, help="The data folder of `up`."
)


@click.group()
def demo() -> None:
    """Try the demo app of a running `tidemark up`."""


@demo.command()
@click.option("--from", "sender", default="alice", show_default=True, help="Who sends.")
@click.option("--to", "recipient", default="bob", show_default=True, help="Who receives.")
@click.argument("text", default="Hello", metavar="[TEXT]")
@_data
def send(sender: str, recipient: str, text: str, data: Path) -> None:
    """Send TEXT (Hello) as a direct message."""
    content = json.dumps({"content": text}, ensure_ascii=False)
    body = {"fromUserId": sender, "toUserIds": [recipient], "messageType": "RC:TxtMsg", "content": content}
    _post(data, "/v4/direct-channel/message/send", body)


@demo.command()
@click.option("--user", default="bob", show_default=True, help="Whose history.")
@click.option("--with", "other", default="alice", show_default=True, help="The other user of the channel.")
@_data
def clean(user: str, other: str, data: Path) -> None:
    """Clean a user's history of one direct channel."""
    body = {"channelType": 1, "fromUserId": user, "channelId": other}
    _post(data, "/v4/channel/message/history/clean", body)


@demo.command()
@click.option("--user", default="bob", show_default=True, help="Whose history.")
@click.option("--with", "other", default="alice", show_default=True, help="The other user of the channel.")
@_data
def history(user: str, other: str, data: Path) -> None:
    """List what a user may read of one direct channel, the last day, newest first."""
    now = time.clock_gettime_ns(time.CLOCK_REALTIME) // 1_000_000
    times = {"startAt": now, "endAt": now - _DAY_MS, "includeStart": True}
    _post(data, "/v4/direct-channel/history-message/list", {"userId": user, "channelId": other, **times})


def commands(data: Path) -> list[str]:
    """Three commands, ready to paste: the program by its path, the folder unless it is the default."""
    program = Path(sys.executable).with_name("tidemark")
    words = [_short(program)] if program.exists() else [sys.executable, "-m", "cli"]
    folder = [] if data == DEFAULT_DATA else ["--data", str(data)]
    tries = (
        ["demo", "send", "--from", "alice", "--to", "bob", "Hello"],
        ["demo", "clean", "--user", "bob", "--with", "alice"],
        ["demo", "history", "--user", "bob", "--with", "alice"],
    )
    return [shlex.join([*words, *words_of_try, *folder]) for words_of_try in tries]


def _short(program: Path) -> str:
    return str(program.relative_to(Path.cwd()) if program.is_relative_to(Path.cwd()) else program)


def _post(data: Path, path: str, body: dict[str, Any]) -> None:
    found = find(url=None, app_key=None, secret_file=None, data=data)
    click.echo(f"POST {found.base_url}{path}\n{json.dumps(body, ensure_ascii=False)}")
    status, answer = _answer(found, path, body)
    click.echo(f"{status} {answer}")
    if status != 200:
        raise SystemExit(1)


def _answer(found: Backend, path: str, body: dict[str, Any]) -> tuple[int, str]:
    address = urlsplit(found.base_url)
    connection = HTTPConnection(address.hostname or "127.0.0.1", address.port, timeout=10)
    headers = {"Content-Type": "application/json", **found.signed()}
    try:
        connection.request("POST", path, json.dumps(body), headers)
        response = connection.getresponse()
        return response.status, response.read().decode("utf-8", "replace")
    except OSError as error:
        raise Refused(
            f"Nothing answers at {found.base_url} ({reason(error)}): is `tidemark up` running?"
        ) from error
    except HTTPException as error:
        raise Refused(f"What answers at {found.base_url} is not tidemark.") from error
    finally:
        connection.close()
