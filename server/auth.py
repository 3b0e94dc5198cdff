"""Who is calling: signatures of the server API, bearer keys of the admin API, API keys, access tokens of users."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping

from history.apps.model import App
from history.apps.service import Apps
from history.axis import SECOND
from history.errors import BadKey, BadSignature, Forbidden
from server.calls import Caller, Who
from server.limits import Limits
from server.services import Services

_SECONDS_BELOW = 10**11
"""A Timestamp below it is in seconds, as most of the field's SDKs send it; above, in milliseconds."""
_LONGEST_NONCE = 128
_SIGNED = [(name, f"RC-{name}") for name in ("App-Key", "Nonce", "Timestamp", "Signature")]


async def identify(
    headers: Mapping[str, str], caller: Caller, services: Services, *, path: Mapping[str, str], reads: bool
) -> Who:
    """Who calls a route that this caller may call; `reads` says that the call changes nothing."""
    apps = services.apps
    if caller is Caller.ADMIN:
        return Who(admin_of=await admin_of(headers, apps, app_key=path.get("appKey"), reads=reads))
    if caller is Caller.KEY:
        return Who(app=await app_of_key(headers.get("Authorization", ""), apps, reads=reads))
    if caller is Caller.KEY_OR_BEARER and not _is_token(headers.get("Authorization", "")):
        return Who(app=await app_of_key(headers.get("Authorization", ""), apps, reads=reads))
    if caller in (Caller.BEARER, Caller.KEY_OR_BEARER) or (
        caller is Caller.USER and "Authorization" in headers
    ):
        wanted = "a signature or an access token" if caller is Caller.USER else "an access token"
        token = await apps.find_token(_bearer(headers, f"This call needs {wanted}"))
        return Who(app=await apps.find(token.app_key), user=token.user_id)
    if caller is Caller.ANYONE:
        return Who()
    return Who(app=await signed_app(headers, apps, services.limits, now=services.clock.now()))


def _is_token(text: str) -> bool:
    """Whether it is of the form of an access token: keys of ours begin with their kind."""
    return text.partition(" ")[2].strip().startswith("tm_user_")


async def app_of_key(text: str, apps: Apps, *, reads: bool) -> App:
    """The app that an API key opens, given as it is or after Bearer."""
    scheme, _, rest = text.partition(" ")
    text = rest if scheme.lower() == "bearer" else text
    if not text.strip():
        raise BadKey("This call needs an API key: send it in the Authorization header.")
    key = await apps.find_key(text.strip(), kind="api")
    if key.app_key is None or (key.read_only and not reads):
        raise Forbidden("This API key may only read.")
    return await apps.find(key.app_key)


async def signed_app(headers: Mapping[str, str], apps: Apps, limits: Limits, *, now: int) -> App:
    """The app whose secret signed these headers: hex SHA-1 over secret, nonce and timestamp.

    Each header may have the prefix RC-. Neither age nor reuse matters unless the app's settings say so: official clients
    send seconds, or the same triple for the life of a process.
    """
    app_key, nonce, timestamp, signature = [
        headers.get(name) or headers.get(prefixed) or "" for name, prefixed in _SIGNED
    ]
    if not app_key or not nonce or not timestamp or not signature or len(nonce) > _LONGEST_NONCE:
        raise BadSignature("Sign the request: send the headers App-Key, Nonce, Timestamp and Signature.")
    app = await apps.find(app_key)
    signed, before = f"{nonce}{timestamp}", app.previous_secret
    if not _matches(app.secret, signed, signature) and not (before and _matches(before, signed, signature)):
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


def _matches(secret: str, signed: str, signature: str) -> bool:
    text = f"{secret}{signed}".encode("utf-8", "surrogateescape")
    # SHA-1 is the scheme of this API; the body is not signed, so run it behind TLS
    expected = hashlib.sha1(text, usedforsecurity=False).hexdigest()
    return hmac.compare_digest(expected.encode(), signature.lower().encode("utf-8", "surrogateescape"))


async def admin_of(headers: Mapping[str, str], apps: Apps, *, app_key: str | None, reads: bool) -> str | None:
    """The one app that the request's admin key opens, None for all; refused where it may not do this.

    `app_key` is the app that the path names, `reads` says that the call changes nothing.
    """
    key = await apps.find_key(_bearer(headers, "This call needs an admin key"), kind="admin")
    if key.read_only and not reads:
        raise Forbidden("This admin key may only read.")
    if app_key is not None and key.app_key not in (None, app_key):
        raise Forbidden("This admin key is for another app.")
    if app_key is not None:
        apps.check(app_key)
    return key.app_key


def _bearer(headers: Mapping[str, str], sentence: str) -> str:
    scheme, _, key = headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not key.strip():
        raise BadKey(f"{sentence}: send Authorization: Bearer <key>.")
    return key.strip()
