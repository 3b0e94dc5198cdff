"""A chat backend, as the commands that call a running API are one: its address, its app key and secret, its signature."""

from __future__ import annotations

import hashlib
import os
import secrets
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click

from cli import demo_file
from cli.errors import Refused
from cli.folder import DataFolder

DEFAULT_DATA = Path(".tidemark")
_DEFAULT_URL = "http://127.0.0.1:8080"


@dataclass(frozen=True, slots=True, kw_only=True)
class Backend:
    """Who calls, and whom."""

    base_url: str
    app_key: str
    app_secret: str = field(repr=False)

    def signed(self) -> dict[str, str]:
        """The signature of the v4 API: hex SHA-1 over secret, nonce and milliseconds (SHA-1 is its choice, not ours)."""
        # This is a client, so it tells its own machine's time; the server's clock is history.clock.
        nonce, timestamp = (
            secrets.token_hex(8),
            str(time.clock_gettime_ns(time.CLOCK_REALTIME) // 1_000_000),
        )
        signature = hashlib.sha1(f"{self.app_secret}{nonce}{timestamp}".encode()).hexdigest()  # noqa: S324
        return {"App-Key": self.app_key, "Nonce": nonce, "Timestamp": timestamp, "Signature": signature}


def options(command: Callable[..., Any]) -> Callable[..., Any]:
    """What says which API and which app: hand it all to `find`."""
    for option in (
        click.option(
            "--data", type=click.Path(path_type=Path), default=DEFAULT_DATA, help="The data folder of `up`."
        ),
        click.option(
            "--secret-file",
            type=click.Path(path_type=Path, exists=True, dir_okay=False),
            help="A file with the app secret [default: TIDEMARK_APP_SECRET, else it is asked for].",
        ),
        click.option("--app-key", envvar="TIDEMARK_APP_KEY", help="The app [default: TIDEMARK_APP_KEY]."),
        click.option("--url", envvar="TIDEMARK_URL", help="The API [default: TIDEMARK_URL]."),
    ):
        command = option(command)
    return command


def find(*, url: str | None, app_key: str | None, secret_file: Path | None, data: Path) -> Backend:
    """The app that was named, else the app `demo` of a running `up`. The secret is never an argument: others see those."""
    if app_key is not None:
        return Backend(
            base_url=(url or _DEFAULT_URL).rstrip("/"), app_key=app_key, app_secret=_secret(secret_file)
        )
    found = demo_file.read(DataFolder(data))
    if found is None:
        raise Refused(
            f"There is no {data / 'demo.json'}: start `tidemark up` first, say --data, or say --url and --app-key."
        )
    return Backend(
        base_url=(url or found.base_url).rstrip("/"), app_key=found.app_key, app_secret=found.app_secret
    )


def _secret(file: Path | None) -> str:
    if file is not None:
        try:
            return file.read_text(encoding="utf-8").strip()
        except UnicodeDecodeError as error:
            raise Refused(f"{file} holds no secret: it is not text in UTF-8.") from error
    if given := os.environ.get("TIDEMARK_APP_SECRET", ""):
        return given
    if not sys.stdin.isatty():
        raise Refused("Set TIDEMARK_APP_SECRET, or say --secret-file.")
    text: str = click.prompt("App secret", hide_input=True, err=True)
    return text
