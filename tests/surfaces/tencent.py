"""How a backend of the field calls Tencent's REST API: signed with the vendor's own Python package, or by hand."""

from __future__ import annotations

import base64
import hashlib
import hmac
import io
import json
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock
from urllib.parse import urlencode

from TLSSigAPIv2 import TLSSigAPIv2

from history.axis import SECOND
from tests.api.client import Answer, Api

APP_ID = 1400000000
KEY = "5bd2850fff3ecb11d7c805251c51ee463a25727bddc2385f3fa8bfee1bb93b5e"
ADMIN = "administrator"


@contextmanager
def at(seconds: int) -> Iterator[None]:
    """The package takes its time from the machine."""
    with mock.patch("TLSSigAPIv2.time.time", return_value=seconds):
        yield


def usersig(
    now: int, *, identifier: str = ADMIN, key: str = KEY, app_id: int = APP_ID, expire: int = 86_400
) -> str:
    """A UserSig as the vendor's package makes it at this second."""
    with at(now):
        text: str = TLSSigAPIv2(app_id, key).gen_sig(identifier, expire)
    return text


def packed(value: object) -> str:
    """What a UserSig is packed in, whatever is in it."""
    data = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.b64encode(zlib.compress(data)).decode().translate(str.maketrans("+/=", "*-_"))


def by_hand(now: int, *, key: str = KEY, **changes: Any) -> str:
    """A UserSig signed for what the changes make of it."""
    said: dict[str, Any] = {
        "TLS.ver": "2.0",
        "TLS.identifier": ADMIN,
        "TLS.sdkappid": APP_ID,
        "TLS.expire": 86_400,
        "TLS.time": now,
    }
    said |= {f"TLS.{name}": value for name, value in changes.items()}
    lines = "".join(
        f"TLS.{name}:{said[f'TLS.{name}']}\n" for name in ("identifier", "sdkappid", "time", "expire")
    )
    said["TLS.sig"] = base64.b64encode(hmac.digest(key.encode(), lines.encode(), hashlib.sha256)).decode()
    return packed(said)


def query(now: int, **changes: str) -> dict[str, str]:
    """What stands in the URL of a call by the admin."""
    right = {
        "sdkappid": str(APP_ID),
        "identifier": ADMIN,
        "usersig": usersig(now),
        "random": "99999999",
        "contenttype": "json",
    }
    return right | changes


async def switch_on(api: Api, **changes: object) -> None:
    """Give the app its Tencent surface."""
    await api.set(**{"tencentSdkAppId": APP_ID, "tencentKey": KEY, "cleanRateLimit": 0, **changes})


async def ask(api: Api, command: str, body: object = None, **changes: Any) -> Answer:
    """A call of the admin; the changes are of the URL's query."""
    words = query(api.clock.now() // SECOND)
    words |= {name: value for name, value in changes.items() if value is not None}
    for name in [name for name, value in changes.items() if value is None]:
        del words[name]
    data = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
    return await api.request("POST", f"/v4/{command}?{urlencode(words)}", data=io.BytesIO(data))


async def done(api: Api, command: str, body: object, **changes: Any) -> dict[str, Any]:
    """What a call that must succeed answers besides."""
    answer = await ask(api, command, body, **changes)
    said: dict[str, Any] = answer.json
    assert (answer.status, said["ActionStatus"], said["ErrorCode"]) == (200, "OK", 0), said
    assert said["ErrorInfo"] == ""
    return {
        name: value for name, value in said.items() if name not in ("ActionStatus", "ErrorInfo", "ErrorCode")
    }


async def failed(api: Api, command: str, body: object, code: int, *words: str, **changes: Any) -> str:
    """The sentence of a call that must fail with this code, in the body and with HTTP 200."""
    answer = await ask(api, command, body, **changes)
    said = answer.json
    assert (answer.status, said["ActionStatus"], said["ErrorCode"]) == (200, "FAIL", code), said
    sentence: str = said["ErrorInfo"]
    assert sentence
    for word in words:
        assert word in sentence, sentence
    return sentence
