"""Is it alive, is it ready, what can it do: for load balancers and for people."""

from __future__ import annotations

from redis.exceptions import RedisError

from history.errors import DatabaseUnavailable
from server.calls import Call, Reply
from server.wire import common as wire


async def health(_: Call[None]) -> Reply:
    """The process answers."""
    return Reply(result=wire.Health(status="ok"))


async def readiness(call: Call[None]) -> Reply:
    """Which part is missing. Without Redis everything works but more slowly, so that is no reason to send callers away.

    Nor is it one that deletion falls behind, which only costs disk: that is a line beside the status.
    """
    missing, retention = [], None
    try:
        await call.services.database.ping()
        retention = await call.services.runs.line()
    except DatabaseUnavailable:
        missing.append("postgres")
    try:
        await call.services.redis.ping()
    except (RedisError, OSError, TimeoutError):
        missing.append("redis")
    status = "unavailable" if "postgres" in missing else "degraded" if missing else "ok"
    return Reply(
        result=wire.Readiness(status, missing, retention), status=503 if status == "unavailable" else 200
    )
