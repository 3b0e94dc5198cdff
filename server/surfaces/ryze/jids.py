"""A chat as RyzeAPI names it: a number, or a JID."""

from __future__ import annotations

import re
from dataclasses import dataclass

from history.channels.model import ChannelKey, ChannelType, channel_key
from history.errors import InvalidInput

_USER = "s.whatsapp.net"
_GROUP = "g.us"
_JID = re.compile(r"(?P<digits>[0-9]{1,32})(?:@(?P<server>s\.whatsapp\.net|lid))?", re.ASCII)
_GROUP_JID = re.compile(r"(?P<id>[0-9]{1,32}(?:-[0-9]{1,31})?)(?P<server>@g\.us)?", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Chat:
    """A chat of an instance."""

    channel: ChannelKey
    jid: str
    """Its full form."""
    other: str
    """The user whom a direct chat is with, the group of another."""

    @property
    def is_group(self) -> bool:
        """Whether it is one."""
        return self.channel.type is ChannelType.GROUP

    def jid_of(self, user: str) -> str:
        """The JID of a user in it: the other one is called as the caller called him."""
        return self.jid if user == self.other and not self.is_group else f"{user}@{_USER}"


def chat(app_key: str, instance: str, number: str | None) -> Chat:
    """What `number` names: digits alone are a user. InvalidInput where it names nothing."""
    text = _given(number, "Number is required")
    if text.endswith(f"@{_GROUP}"):
        return group(app_key, text, missing="")
    found = _JID.fullmatch(text)
    if found is None:
        raise InvalidInput(
            "number",
            "Invalid number: send digits with the country code, or a JID (…@s.whatsapp.net, …@lid, …@g.us)",
        )
    other = found["digits"]
    return Chat(
        channel=channel_key(app_key, ChannelType.DIRECT, channel_id=other, user_id=instance),
        jid=f"{other}@{found['server'] or _USER}",
        other=other,
    )


def group(app_key: str, identifier: str | None, *, missing: str) -> Chat:
    """What the JID of a group names, or its digits; `missing` is the sentence where there is none."""
    found = _GROUP_JID.fullmatch(_given(identifier, missing))
    if found is None:
        raise InvalidInput("identifier", "Invalid identifier: send the JID of a group (…@g.us)")
    return Chat(
        channel=ChannelKey(app_key, ChannelType.GROUP, (found["id"],)),
        jid=f"{found['id']}@{_GROUP}",
        other=found["id"],
    )


def _given(text: str | None, missing: str) -> str:
    if text is None or not text.strip():
        raise InvalidInput("number", missing)
    return text.strip()
