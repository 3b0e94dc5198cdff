"""Message bodies: a list of elements outside, one type and one content inside."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from history.errors import InvalidInput
from history.messages.model import Message
from server.surfaces import text

_TEXT = "TIMTextElem"
_CUSTOM = "TIMCustomElem"
_SEVERAL = "TIMMsgBody"
"""The type of a message of several elements; its content is their list."""
_LONGEST_TYPE = 32
_RANDOMS = 1 << 32


def as_message(body: Sequence[Mapping[str, Any]]) -> tuple[str, str]:
    """Type and content: a single text is a text on every surface, everything else passes as it is."""
    for number, element in enumerate(body):
        _check(element, f"MsgBody[{number}]")
    if len(body) > 1:
        return _SEVERAL, msgspec.json.encode(body).decode()
    type_, content = body[0]["MsgType"], body[0]["MsgContent"]
    if type_ == _TEXT:
        return text.TEXT, text.as_content(content["Text"])
    return type_, msgspec.json.encode(content).decode()


def as_body(message: Message) -> list[dict[str, Any]]:
    """The elements of a message of any surface: a text as one, and what is no element as a custom one."""
    words = text.as_text(message.type, message.content)
    if words is not None:
        return [{"MsgType": _TEXT, "MsgContent": {"Text": words}}]
    try:
        if message.type == _SEVERAL:
            return msgspec.json.decode(message.content, type=list[dict[str, Any]])
        if _is_element(message.type):
            content = msgspec.json.decode(message.content, type=dict[str, Any])
            return [{"MsgType": message.type, "MsgContent": content}]
    except msgspec.DecodeError:
        pass
    custom = {"Data": message.content, "Desc": message.type, "Ext": "", "Sound": ""}
    return [{"MsgType": _CUSTOM, "MsgContent": custom}]


def as_metadata(random: int, custom_data: str | None) -> str:
    """What a message carries besides, in the form of all metadata."""
    values = {"MsgRandom": str(random)}
    if custom_data:
        values["CloudCustomData"] = custom_data
    return msgspec.json.encode(values).decode()


def read_metadata(message: Message) -> tuple[int, str]:
    """(MsgRandom, CloudCustomData); a message of another surface has a MsgRandom made from its position."""
    values = msgspec.json.decode(message.metadata, type=dict[str, str]) if message.metadata else {}
    random = values.get("MsgRandom", "")
    return (
        int(random)
        if random.isascii() and random.isdigit() and len(random) <= 10
        else message.position % _RANDOMS,
        values.get("CloudCustomData", ""),
    )


def _is_element(type_: str) -> bool:
    return type_.startswith("TIM") and type_.endswith("Elem")


def _check(element: Mapping[str, Any], field: str) -> None:
    type_, content = element.get("MsgType"), element.get("MsgContent")
    if not isinstance(type_, str) or not _is_element(type_) or len(type_) > _LONGEST_TYPE:
        raise InvalidInput(
            f"{field}.MsgType",
            f"{field}.MsgType must be the name of an element, such as TIMTextElem, of at most {_LONGEST_TYPE} characters.",
        )
    if not isinstance(content, dict):
        raise InvalidInput(f"{field}.MsgContent", f"{field}.MsgContent must be an object.")
    if type_ == _TEXT and not isinstance(content.get("Text"), str):
        raise InvalidInput(f"{field}.MsgContent.Text", f"{field}.MsgContent.Text must be a string.")
