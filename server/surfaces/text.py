"""A text sent on any surface reads as text on every other; other types pass as they are."""

from __future__ import annotations

import msgspec

TEXT = "RC:TxtMsg"
"""The message type of texts. Its content is {"content": the text}."""


class _Text(msgspec.Struct):
    content: str


def as_content(text: str) -> str:
    """The content of a message of type TEXT."""
    return msgspec.json.encode(_Text(text)).decode()


def as_text(type_: str, content: str) -> str | None:
    """The text of a message, None where it is of another type. Content in no such form is taken as the text itself."""
    if type_ != TEXT:
        return None
    try:
        return msgspec.json.decode(content, type=_Text).content
    except msgspec.DecodeError:
        return content
