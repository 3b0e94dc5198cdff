"""UserSigs: what the vendor's own package signs is taken, everything else is refused by its code."""

from __future__ import annotations

import base64
import json
import zlib
from typing import Any

import pytest
from TLSSigAPIv2 import TLSSigAPIv2

from history.axis import SECOND
from server.surfaces.tencent import usersig
from server.surfaces.tencent.codes import Refused
from tests.surfaces.tencent import ADMIN, APP_ID, KEY, by_hand, packed
from tests.surfaces.tencent import usersig as made

NOW = 1_773_144_000
# made by the vendor's package at NOW for the administrator, good for a day
VECTOR = (
    "eJyrVgrxCdYrSy1SslJQMtIzUNJRAItkpqTmlWSmZUIkElNyM-Myi0uKEkvyi2BKilOyEwsKMlOACgxNDKAAKpdaUZBZlAqUsTAz"
    "gQuWZOaChAzNzY0NTUwQiosz00GWJJmmGVcaJXtXGmpHWaQ7e-nlFLmFpbj5*ka4mFg650d6e5sUu1iaeJUZJtsq1QIAMVA0cA__"
)


def verify(text: str, *, at: int = NOW, **changes: Any) -> None:
    right: dict[str, Any] = {"key": KEY, "sdk_app_id": APP_ID, "identifier": ADMIN}
    usersig.verify(text, **{**right, **changes}, now=at * SECOND)


def refused(text: str, code: int, **changes: Any) -> None:
    with pytest.raises(Refused) as refusal:
        verify(text, **changes)
    assert refusal.value.code == code
    assert KEY not in str(refusal.value)
    assert not text or text not in str(refusal.value)


def test_the_vectors_of_the_vendors_package_are_taken() -> None:
    verify(VECTOR)
    verify(made(NOW))
    verify(by_hand(NOW))
    verify(
        made(NOW, identifier="böb", key="k", app_id=4_294_967_295),
        identifier="böb",
        key="k",
        sdk_app_id=2**32 - 1,
    )
    packed_ = TLSSigAPIv2(APP_ID, KEY).gen_sig_with_userbuf(ADMIN, 10**9, b"a buffer")
    verify(packed_)


def test_it_ends_with_its_expiry_to_the_second() -> None:
    text = made(NOW, expire=60)
    verify(text, at=NOW + 59)
    refused(text, 70001, at=NOW + 60)
    refused(text, 70001, at=NOW + 10**6)
    # the clock of who signs may be a little ahead
    verify(text, at=NOW - 30)
    refused(made(NOW, expire=0), 70001)
    refused(made(NOW, expire=-1), 70001)


def test_another_identifier_app_or_key_is_told_apart() -> None:
    refused(made(NOW, identifier="bob"), 70013)
    refused(made(NOW), 70013, identifier="bob")
    refused(made(NOW), 70013, identifier="\ud800")
    refused(made(NOW, app_id=APP_ID + 1), 70014)
    refused(made(NOW, key=KEY[::-1]), 70009)
    refused(made(NOW), 70009, key="")
    # nobody without the key learns whether it has expired
    refused(made(NOW, key=KEY[::-1], expire=1), 70009, at=NOW + 9)


@pytest.mark.parametrize(
    "changes",
    [
        {"TLS.expire": 10**9},
        {"TLS.time": NOW + 10**6},
        {"TLS.sig": ""},
        {"TLS.sig": "é"},
        {"TLS.userbuf": "eA=="},
    ],
)
def test_what_was_changed_after_signing_does_not_verify(changes: dict[str, Any]) -> None:
    said = json.loads(zlib.decompress(base64.b64decode(made(NOW).translate(str.maketrans("*-_", "+/=")))))
    verify(packed(said))
    refused(packed({**said, **changes}), 70009)


def test_a_user_buffer_is_signed_too() -> None:
    text = TLSSigAPIv2(APP_ID, KEY).gen_sig_with_userbuf(ADMIN, 10**9, b"a buffer")
    said = json.loads(zlib.decompress(base64.b64decode(text.translate(str.maketrans("*-_", "+/=")))))
    refused(packed({**said, "TLS.userbuf": "eA=="}), 70009)
    del said["TLS.userbuf"]
    refused(packed(said), 70009)


GOOD = made(NOW)
SAID = json.loads(zlib.decompress(base64.b64decode(GOOD.translate(str.maketrans("*-_", "+/=")))))


@pytest.mark.parametrize(
    "text",
    [
        "xxx",
        "",
        "\ud800",
        "é" * 8,
        GOOD[:-1],
        GOOD[: len(GOOD) // 2],
        GOOD[:-8],
        GOOD + "____",
        GOOD + "AAAA",
        " " + GOOD,
        packed(b""),
        packed(b"\xff"),
        packed([]),
        packed("x"),
        packed({}),
        packed(b'{"a":' * 2_000),
        packed({**SAID, "TLS.ver": "1.0"}),
        packed({**SAID, "TLS.sdkappid": str(APP_ID)}),
        packed({**SAID, "TLS.expire": True}),
        packed({**SAID, "TLS.time": 1.5}),
        packed({**SAID, "TLS.time": 10**30}),
        packed(json.dumps(SAID).replace(str(NOW), "9" * 5_000).encode()),
        packed({**SAID, "TLS.identifier": None}),
        packed({**SAID, "TLS.sig": 7}),
        *(packed({key: value for key, value in SAID.items() if key != name}) for name in SAID),
    ],
)
def test_garbage_is_refused(text: str) -> None:
    refused(text, 70003)


def test_a_bomb_is_not_unpacked(monkeypatch: pytest.MonkeyPatch) -> None:
    bomb = packed(b" " * 2_000_000 + json.dumps(SAID).encode())
    assert len(bomb) < usersig.MOST_CHARACTERS
    refused(bomb, 70003)
    # just too much, and just not
    fill = 8_192 - len(json.dumps(SAID))
    verify(packed(b" " * fill + json.dumps(SAID).encode()))
    refused(packed(b" " * (fill + 1) + json.dumps(SAID).encode()), 70003)

    def never(*_: object) -> None:
        raise AssertionError("longer than any UserSig, and yet it was unpacked")

    monkeypatch.setattr("server.surfaces.tencent.usersig.zlib.decompressobj", never)
    refused("A" * (usersig.MOST_CHARACTERS + 1), 70003)
