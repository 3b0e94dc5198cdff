"""Users as phone numbers, messages as DoubleTick shows them."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from history.axis import SECOND
from history.errors import InvalidInput
from history.messages.model import Message
from server.surfaces.doubletick import wire
from server.surfaces.text import as_text

_PHONE = re.compile(r"\+?([0-9]{5,15})")


def phone(text: str, field: str) -> str:
    """The user of a phone number: its digits."""
    found = _PHONE.fullmatch(text)
    if found is None:
        raise InvalidInput(
            field, f"{field} must be a phone number: 5 to 15 digits with the country code, without spaces."
        )
    return found[1]


def message_view(message: Message, business: str, other: str) -> wire.DoubleTickMessage:
    """A message of a chat: of the business with a customer, or in a group."""
    text = as_text(message.type, message.content)
    sent_at = datetime.fromtimestamp(message.position // SECOND, UTC)
    return wire.DoubleTickMessage(
        messageId=message.id,
        sender=message.sender,
        recipient=other if message.sender == business else business,
        message=message.content if text is None else text,
        mediaUrl=None,
        timestamp=f"{sent_at:%Y-%m-%dT%H:%M:%S}.{message.sent_at % 1000:03}Z",
        status="SENT",
    )
