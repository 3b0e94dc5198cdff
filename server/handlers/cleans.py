"""Clean history: into the journal, then a word to the worker."""

from __future__ import annotations

from history.channels.model import ChannelType, channel_key
from history.errors import InvalidInput
from history.retention.model import EVERYONE, CleanDraft, cutoff_before
from server import parse
from server.calls import Call, Reply
from server.handlers.messages import check_storage
from server.wire import messages as wire

REQUEST_ID_HEADER = "Clean-Request-Id"
_SECONDS_BELOW, _MICROSECONDS_FROM = 10**11, 10**14
_NOT_A_TIME = "sentAt must be a time in milliseconds since 1970, as digits."


async def clean_history(call: Call[wire.Clean]) -> Reply:
    """Clean one user's history of a direct, group or system channel, or everyone's of an open channel."""
    body, app = call.body, call.signed_by
    type_ = parse.channel_type(body.channelType, "channelType")
    check_storage(app, type_)
    for_everyone = type_ is ChannelType.OPEN
    draft = CleanDraft(
        channel=channel_key(app.app_key, type_, channel_id=body.channelId, user_id=body.fromUserId),
        user_id=EVERYONE if for_everyone else body.fromUserId,
        operator=body.fromUserId if for_everyone else None,
        before=cutoff_before(_sent_at(body.sentAt)),
        delete_compensated=body.deleteCompensated,
        reason=body.reason or None,
        source="v4",
    )
    await call.services.limits.admit_clean(app)
    accepted = await call.services.cleans.accept(draft)
    await call.services.queue.announce(accepted)
    return Reply(headers={REQUEST_ID_HEADER: accepted.request_id})


def _sent_at(value: str | int | None) -> int | None:
    if value is None or value == "":
        return None
    if isinstance(value, str):
        if not value.isascii() or not value.isdigit():
            raise InvalidInput("sentAt", _NOT_A_TIME)
        # whatever has more digits is too large anyway, and Python refuses to convert thousands of them
        value = int(value[:20])
    if value < 0:
        raise InvalidInput("sentAt", _NOT_A_TIME)
    if value < _SECONDS_BELOW:
        raise InvalidInput("sentAt", "sentAt must be in milliseconds since 1970; this looks like seconds.")
    if value >= _MICROSECONDS_FROM:
        raise InvalidInput(
            "sentAt", "sentAt must be in milliseconds since 1970; this looks like microseconds."
        )
    return value
