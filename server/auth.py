"""Who is calling: signatures of the server API, bearer keys of the admin API."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping

from history.apps.model import App
from history.apps.service import Apps
from history.axis import SECOND
from history.errors import BadKey, BadSignature
from server.limits import Limits

_SECONDS_BELOW = 10**11
"""A Timestamp below it is in seconds, as most of the field's SDKs send it; above, in milliseconds."""
_LONGEST_NONCE = 128


async def signed_app(headers: Mapping[str, str], apps: Apps, limits: Limits, *, now: int) -> App:
    """The app whose secret signed these headers: hex SHA-1 over secret, nonce and timestamp.

    Each header may have the prefix RC-. Neither age nor reuse matters unless the app's settings say so: official clients
    send seconds, or the same triple for the life of a process.
    """
    app_key, nonce, timestamp, signature = (
        headers.get(name) or headers.get(f"RC-{name}") or ""
        for name in ("App-Key", "Nonce", "Timestamp", "Signature")
    )
    if not app_key or not nonce or not timestamp or not signature or len(nonce) > _LONGEST_NONCE:
        raise BadSignature("Sign the request: send the headers App-Key, Nonce, Timestamp and Signature.")
    app = await apps.find(app_key)
    text = f"{app.secret}{nonce}{timestamp}".encode("utf-8", "surrogateescape")
    # SHA-1 is the scheme of this API; the body is not signed, so run it behind TLS
    expected = hashlib.sha1(text, usedforsecurity=False).hexdigest()
    if not hmac.compare_digest(expected.encode(), signature.lower().encode("utf-8", "surrogateescape")):
        raise BadSignature("The Signature does not match: it is hex SHA1(AppSecret + Nonce + Timestamp).")
    if app.settings.signature_max_age_seconds:
        _check_age(timestamp, app.settings.signature_max_age_seconds * SECOND, now=now)
    if app.settings.reject_replayed_nonces:
        await limits.use_nonce(app, nonce)
    return app


def _check_age(timestamp: str, most: int, *, now: int) -> None:
    if not timestamp.isascii() or not timestamp.isdigit() or len(timestamp) > 15:
        raise BadSignature("Timestamp must be the Unix time in seconds or milliseconds.")
    value = int(timestamp)
    signed_at = value * SECOND if value < _SECONDS_BELOW else value * 1000
    if abs(now - signed_at) > most:
        raise BadSignature("The Timestamp is too far from now; check the clock of the machine that signs.")


async def check_admin(headers: Mapping[str, str], apps: Apps) -> None:
    """BadKey unless the request carries an admin key."""
    scheme, _, key = headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not key.strip():
        raise BadKey("This call needs an admin key: send Authorization: Bearer <adminKey>.")
    await apps.check_admin_key(key.strip())
