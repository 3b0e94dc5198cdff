"""demo.json: how to reach what `up` runs, and the keys of its app `demo`."""

from __future__ import annotations

import msgspec

from cli.errors import Refused
from cli.folder import DataFolder, write_private
from history.apps.service import open_apps
from history.config import Settings


class Demo(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The content of demo.json."""

    base_url: str
    app_key: str
    app_secret: str
    api_key: str
    admin_key: str
    database_url: str
    redis_url: str


def read(folder: DataFolder) -> Demo | None:
    """What is there; None before the first start is done."""
    try:
        return msgspec.json.decode(folder.demo.read_bytes(), type=Demo)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.DecodeError) as error:
        raise Refused(
            f"{folder.demo} cannot be read ({error}): bring it back, or remove it for a new app."
        ) from error


async def keep(folder: DataFolder, settings: Settings, base_url: str) -> Demo:
    """The demo app of this folder, made on the first start; addresses are brought up to date.

    A start that was killed between making the app and writing the file leaves an app whose keys nobody knows; the
    next start makes another one.
    """
    before = read(folder)
    addresses = {"base_url": base_url, "database_url": settings.database_url, "redis_url": settings.redis_url}
    if before is None:
        async with open_apps(settings) as apps:
            new = await apps.create("demo")
            admin_key, _ = await apps.create_key("demo", kind="admin", app_key=None)
        keys = {"app_key": new.app_key, "app_secret": new.app_secret, "api_key": new.api_key}
        after = Demo(**addresses, **keys, admin_key=admin_key)
    else:
        after = msgspec.structs.replace(before, **addresses)
    if after != before:
        write_private(folder.demo, msgspec.json.format(msgspec.json.encode(after), indent=2).decode() + "\n")
    return after
