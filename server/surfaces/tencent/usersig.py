"""A UserSig: who somebody is, signed with the app's key by HMAC-SHA256, packed with zlib, in a base64 of its own.

What is signed is the text of four lines (five with a user buffer), so everything else of it is not to be trusted.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import zlib
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct, field

from history.axis import SECOND
from server.surfaces.tencent.codes import Refused

EXPIRED, NOT_PARSED, NOT_VERIFIED, OTHER_IDENTIFIER, OTHER_APP = 70001, 70003, 70009, 70013, 70014
MOST_CHARACTERS = 4_096
_MOST_BYTES = 8_192
"""Unpacked: a few characters of zlib can stand for gigabytes."""
_BASE64 = str.maketrans("*-_", "+/=")

_Number = Annotated[int, Meta(gt=-(2**53), lt=2**53)]


class _Signed(Struct, kw_only=True):
    version: Literal["2.0"] = field(name="TLS.ver")
    identifier: str = field(name="TLS.identifier")
    sdk_app_id: _Number = field(name="TLS.sdkappid")
    signed_at: _Number = field(name="TLS.time")
    expire: _Number = field(name="TLS.expire")
    sig: str = field(name="TLS.sig")
    userbuf: str | None = field(name="TLS.userbuf", default=None)


def verify(text: str, *, key: str, sdk_app_id: int, identifier: str, now: int) -> None:
    """Refused unless this is a UserSig of the identifier, made with the key, that has not expired at `now`."""
    signed = _unpack(text)
    if not hmac.compare_digest(signed.identifier.encode(), identifier.encode("utf-8", "surrogatepass")):
        raise Refused(OTHER_IDENTIFIER, "The UserSig is of another identifier than the one in the URL.")
    if signed.sdk_app_id != sdk_app_id:
        raise Refused(OTHER_APP, "The UserSig is of another SDKAppID than the one in the URL.")
    if not hmac.compare_digest(_sig(signed, key), signed.sig.encode()):
        raise Refused(NOT_VERIFIED, "The UserSig does not verify; it was made with another key.")
    # told to those alone who have the key
    if (signed.signed_at + signed.expire) * SECOND <= now:
        raise Refused(EXPIRED, "The UserSig has expired; make another one.")


def _sig(signed: _Signed, key: str) -> bytes:
    lines = {
        "TLS.identifier": signed.identifier,
        "TLS.sdkappid": signed.sdk_app_id,
        "TLS.time": signed.signed_at,
        "TLS.expire": signed.expire,
    }
    text = "".join(f"{name}:{value}\n" for name, value in lines.items())
    if signed.userbuf is not None:
        text += f"TLS.userbuf:{signed.userbuf}\n"
    return base64.b64encode(hmac.digest(key.encode(), text.encode(), hashlib.sha256))


def _unpack(text: str) -> _Signed:
    not_parsed = Refused(NOT_PARSED, "The UserSig cannot be read: it is cut off, or none.")
    if len(text) > MOST_CHARACTERS:
        raise not_parsed
    try:
        packed = base64.b64decode(text.translate(_BASE64).encode("ascii"), validate=True)
        reader = zlib.decompressobj()
        found = reader.decompress(packed, _MOST_BYTES)
        if not reader.eof or reader.unused_data:
            raise not_parsed
        return msgspec.json.decode(found, type=_Signed)
    except (binascii.Error, zlib.error, msgspec.DecodeError, UnicodeError, RecursionError) as exc:
        raise not_parsed from exc
