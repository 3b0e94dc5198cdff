"""Clear chats, read them. A chat is what the business's number has of its direct channel with the customer's."""

from __future__ import annotations

import asyncio
import re
from datetime import date
from zoneinfo import ZoneInfo

from history import cursors
from history.axis import DAY, NEVER
from history.channels.model import ChannelKey, ChannelType, channel_key
from history.delivery.model import OnAxis, start_of_day
from history.errors import InvalidInput
from history.messages.model import Message, Range
from history.retention.model import EVERYONE
from server.calls import Call, Reply
from server.drafts import check_storage, clean
from server.surfaces.doubletick import wire
from server.surfaces.doubletick.render import message_view, phone
from server.surfaces.doubletick.surface import NoCustomers

SOURCE = "doubletick"
MOST_MESSAGES = 10_000
MOST_BYTES = 16 * 1024 * 1024
"""An answer with messages ends at these many messages, or bytes of content, whichever comes first."""
MOST_CHATS = 1_000
"""A customer with more is none: his request is refused before anything is cleaned."""
_PAGE = 500
_UTC = ZoneInfo("UTC")


async def clear_chat(call: Call[wire.DoubleTickClear]) -> Reply:
    """Clean the business's history of its chat with a customer; a chat that is not there is no error."""
    body, app = call.body, call.app
    business = phone(body.business, "from")
    channel = channel_key(
        app.app_key, ChannelType.DIRECT, channel_id=phone(body.customer, "to"), user_id=business
    )
    accepted = await clean(
        call.services,
        app,
        channel,
        user=business,
        source=SOURCE,
        delete_media=bool(body.deleteMedia),
    )
    return Reply(
        result=wire.DoubleTickCleared(
            success=True, message="Added in queue for deletion.", requestId=accepted.request_id
        )
    )


async def delete_customers(call: Call[wire.DoubleTickCustomers]) -> Reply:
    """Clean all chats of these customers, for both sides: nobody's history has them any more.

    Who has no chat is answered as not found; where that is all of them, nothing is done.
    """
    app, services = call.app, call.services
    check_storage(app, ChannelType.DIRECT)
    numbers = {
        phone(text, f"phoneNumbers[{number}]"): text for number, text in enumerate(call.body.phoneNumbers)
    }
    chats: dict[ChannelKey, str] = {}
    missing = []
    for customer, text in numbers.items():
        found = await services.membership.direct(app.app_key, customer, most=MOST_CHATS + 1)
        if len(found) > MOST_CHATS:
            raise InvalidInput(
                "phoneNumbers", f"{text} has more than {MOST_CHATS} chats; clear them one by one."
            )
        chats |= dict.fromkeys(found, customer)
        if not found:
            missing.append(text)
    if not chats:
        raise NoCustomers(missing)
    await services.limits.admit_clean(app)

    async def one(channel: ChannelKey) -> str:
        operator = channel.seen_by(chats[channel])
        accepted = await clean(
            services,
            app,
            channel,
            user=EVERYONE,
            operator=operator,
            source=SOURCE,
            delete_media=bool(call.body.deleteMedia),
            admitted=True,
        )
        return accepted.request_id

    done = wire.DoubleTickDeleted(
        message="Your request has been queued for deletion.",
        notFoundPhoneNumbers=missing,
        requestIds=list(await asyncio.gather(*map(one, chats))),
    )
    return Reply(result=done, status=201)


async def list_messages(call: Call[wire.DoubleTickMessageQuery]) -> Reply:
    """What the business may read of a chat on these days, oldest first; without days, all of it."""
    body, app = call.body, call.app
    check_storage(app, ChannelType.DIRECT)
    business, customer = phone(body.wabaNumber, "wabaNumber"), phone(body.customerNumber, "customerNumber")
    first, end = _days(body.startDate, body.endDate)
    if body.nextCursor:
        end = min(end, _below(body.nextCursor))
    channel = channel_key(app.app_key, ChannelType.DIRECT, channel_id=customer, user_id=business)
    found: list[Message] = []
    size, more = 0, True
    while more and size < MOST_BYTES and len(found) < MOST_MESSAGES:
        page = await call.services.messages.history(
            channel, business, Range(first=first, end=end), most=_PAGE
        )
        found += page
        size += sum(len(message.content.encode()) for message in page)
        more = bool(page)
        end = page[-1].position if page else end
    return Reply(
        result=wire.DoubleTickMessages(
            success=True,
            messages=[message_view(message, business, customer) for message in reversed(found)],
            nextCursor=cursors.pack(end) if more else None,
        )
    )


def _days(start: str | None, last: str | None) -> tuple[int, int]:
    """The first position of the days, and the first after them."""
    first = start_of_day(_day(start, "startDate"), _UTC) if start else 0
    end = start_of_day(_day(last, "endDate"), _UTC) + DAY if last else NEVER
    if end <= first:
        raise InvalidInput("startDate", "startDate must not be after endDate.")
    return max(first, 0), max(end, 0)


def _day(text: str, field: str) -> date:
    found = re.fullmatch(r"([0-9]{2})-([0-9]{2})-([0-9]{4})", text)
    try:
        if found is None:
            raise ValueError(text)
        return date(int(found[3]), int(found[2]), int(found[1]))
    except ValueError as exc:
        raise InvalidInput(field, f"{field} must be a day as DD-MM-YYYY, such as 31-12-2026.") from exc


def _below(cursor: str) -> int:
    try:
        return cursors.unpack(cursor, OnAxis)
    except cursors.NotOurs as exc:
        raise InvalidInput("nextCursor", "nextCursor must be one that the answer before gave.") from exc
