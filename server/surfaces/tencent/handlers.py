"""Tencent's REST API: conversations deleted, a group cleared, messages sent and read, always by the app's admin."""

from __future__ import annotations

import asyncio
import re
from typing import Any

from msgspec import UNSET, structs

from history.apps.model import App
from history.axis import NEVER, SECOND
from history.channels.model import ChannelKey, ChannelType, channel_key
from history.cursors import read_message_id
from history.errors import InvalidInput, TidemarkError
from history.messages.model import Flags, Message, Range
from history.retention.model import EVERYONE
from server import drafts, parse
from server.calls import Call, Reply
from server.handlers.cleans import REQUEST_ID_HEADER
from server.services import Services
from server.surfaces.tencent import codes, elements, wire
from server.surfaces.tencent.surface import folded

SOURCE = "tencent"
_MOST_ROAMING = 100
_MOST_OF_A_GROUP = 20
_RECALLED = 8
"""The bit of MsgFlagBits."""
_MSG_KEY = re.compile(r"([0-9]{1,16})_[0-9]{1,10}_[0-9]{1,12}", re.ASCII)


async def delete_conversation(call: Call[wire.RecentContactDelete]) -> Reply:
    """Take a conversation from a user's list, with ClearRamble 1 his history of it too; none there is no error."""
    body, app = call.body, call.app
    with_media = _with_media(body)
    channel = _channel(app, body.From_Account, body)
    headers = {}
    if body.ClearRamble:
        headers[REQUEST_ID_HEADER] = await clear(
            call.services, app, channel, body.From_Account, source=SOURCE, delete_media=with_media
        )
    await call.services.conversations.remove(app.app_key, body.From_Account, [channel])
    return Reply(headers=headers)


async def delete_conversations(call: Call[wire.RecentContactBatchDelete]) -> Reply:
    """The same for up to 100 conversations, each with its outcome."""
    body, app = call.body, call.app
    with_media = _with_media(body)
    results = [_named(item) for item in body.ContactItem]

    async def one(item: dict[str, Any], result: wire.ContactOutcome) -> ChannelKey | None:
        try:
            named = parse.convert(folded(item, wire.ContactItem), wire.ContactItem)
            channel = _channel(app, body.From_Account, named)
            if body.ClearRamble:
                await clear(
                    call.services, app, channel, body.From_Account, source=SOURCE, delete_media=with_media
                )
        except TidemarkError as exc:
            result.ResultCode, result.ResultInfo = codes.RECENT_CONTACT.code(exc), str(exc)
            return None
        return channel

    channels = await asyncio.gather(*map(one, body.ContactItem, results))
    wanted = [channel for channel in channels if channel is not None]
    await call.services.conversations.remove(app.app_key, body.From_Account, wanted)
    return Reply(result=wire.RecentContactsDeleted(ResultItem=results))


async def clear_group(call: Call[wire.ClearGroupMsg]) -> Reply:
    """Clean a group for everyone, up to and including MsgSeq; the admin can still pull what is on disk."""
    body, app = call.body, call.app
    channel = await _group(call, body.GroupId)
    accepted = await drafts.clean(
        call.services,
        app,
        channel,
        user=EVERYONE,
        operator=call.user,
        before=NEVER if body.MsgSeq is None else body.MsgSeq + 1,
        source=SOURCE,
        delete_compensated=True,
        delete_media=body.DeleteMedia == 1,
    )
    return Reply(headers={REQUEST_ID_HEADER: accepted.request_id})


async def send(call: Call[wire.SendMsg]) -> Reply:
    """Send a direct message; the same MsgRandom and MsgSeq again within a second is the same message."""
    body, app = call.body, call.app
    sender = body.From_Account or call.user
    if sender == body.To_Account:
        raise InvalidInput("To_Account", "To_Account is the sender; nobody can send to himself.")
    type_, content = elements.as_message(body.MsgBody)
    draft = drafts.draft(
        app,
        ChannelType.DIRECT,
        [channel_key(app.app_key, ChannelType.DIRECT, channel_id=body.To_Account, user_id=sender)],
        sender=sender,
        message_type=type_,
        content=content,
        persisted=body.MsgLifeTime != 0,
        # 2: not into the sender's own history
        flags=Flags.METADATA | (0 if body.SyncOtherMachine == 2 else Flags.ECHOED),
        metadata=elements.as_metadata(body.MsgRandom, body.CloudCustomData),
        client_key=f"tencent {body.MsgSeq or 0} {body.MsgRandom}",
    )
    [id_] = await call.services.messages.send(structs.replace(draft, key_kept=SECOND))
    _, position = read_message_id(id_)
    return Reply(result=wire.MsgSent(MsgTime=position // SECOND, MsgKey=_key(position, body.MsgRandom)))


async def roam(call: Call[wire.RoamMsg]) -> Reply:
    """What one party of a direct conversation may read of a stretch of time, from its end backwards."""
    body, app = call.body, call.app
    operator, peer = _parties(body)
    drafts.check_storage(app, ChannelType.DIRECT)
    channel = channel_key(app.app_key, ChannelType.DIRECT, channel_id=peer, user_id=operator)
    first, end = body.MinTime * SECOND, (body.MaxTime + 1) * SECOND
    if first >= end:
        raise InvalidInput("MaxTime", "MaxTime must not be before MinTime.")
    if body.LastMsgKey:
        end = min(end, _position(body.LastMsgKey))
    most = min(body.MaxCnt, _MOST_ROAMING)

    async def history(end: int, most: int) -> list[Message]:
        range_ = Range(first=first, end=end)
        return await call.services.messages.history(channel, operator, range_, most=most, with_recalled=True)

    found = await history(end, most)
    page, more = found[:most], len(found) > most
    if page and not more:
        more = bool(await history(page[-1].position, 1))
    messages = [_roamed(message, (operator, peer)) for message in reversed(page)]
    return Reply(
        result=wire.RoamedMsgs(
            Complete=int(not more),
            MsgCnt=len(messages),
            LastMsgTime=messages[0].MsgTimeStamp if messages else 0,
            LastMsgKey=messages[0].MsgKey if messages else "",
            MsgList=messages,
        )
    )


async def group_messages(call: Call[wire.GroupMsgGet]) -> Reply:
    """What is on disk of a group, newest first, whoever cleaned it."""
    body = call.body
    channel = await _group(call, body.GroupId)

    async def stored(end: int, most: int) -> list[Message]:
        return await call.services.messages.stored(
            channel, Range(first=0, end=end), most=most, with_recalled=body.WithRecalledMsg == 1
        )

    found = await stored(
        NEVER if body.ReqMsgSeq is None else body.ReqMsgSeq + 1, min(body.ReqMsgNumber, _MOST_OF_A_GROUP)
    )
    cut = 0 < len(found) < body.ReqMsgNumber and bool(await stored(found[-1].position, 1))
    return Reply(
        result=wire.GroupMsgs(
            GroupId=body.GroupId, IsFinished=int(not cut), RspMsgList=[_of_group(one) for one in found]
        )
    )


async def clear(
    services: Services, app: App, channel: ChannelKey, user: str, *, source: str, delete_media: bool
) -> str:
    """Clean all of a user's history of a channel, compensation included: the clean's id."""
    accepted = await drafts.clean(
        services,
        app,
        channel,
        user=user,
        source=source,
        delete_compensated=True,
        delete_media=delete_media,
    )
    return accepted.request_id


def _with_media(body: wire.RecentContactDelete | wire.RecentContactBatchDelete) -> bool:
    """Whether the clean takes the files too; refused where there is no clean."""
    if body.DeleteMedia and not body.ClearRamble:
        raise InvalidInput(
            "DeleteMedia", "DeleteMedia 1 goes with ClearRamble 1: without it nothing is cleaned."
        )
    return body.DeleteMedia == 1


async def _group(call: Call[Any], group_id: str) -> ChannelKey:
    channel = ChannelKey(call.app.app_key, ChannelType.GROUP, (group_id,))
    await call.services.membership.group(channel)
    return channel


def _channel(app: App, user: str, named: wire.RecentContactDelete | wire.ContactItem) -> ChannelKey:
    direct = named.Type == 1
    other = named.To_Account if direct else named.ToGroupid or named.To_Account
    if other is None:
        name = "To_Account" if direct else "ToGroupid"
        raise InvalidInput(name, f"{name} is missing; a conversation of this Type has one.")
    if direct and other == user:
        raise InvalidInput(
            "To_Account", "To_Account is From_Account; nobody has a conversation with himself."
        )
    type_ = ChannelType.DIRECT if direct else ChannelType.GROUP
    return channel_key(app.app_key, type_, channel_id=other, user_id=user)


def _named(item: dict[str, Any]) -> wire.ContactOutcome:
    said = folded(item, wire.ContactItem)
    return wire.ContactOutcome(
        Type=said.get("Type"),
        To_Account=said.get("To_Account", UNSET),
        ToGroupid=said.get("ToGroupid", UNSET),
    )


def _parties(body: wire.RoamMsg) -> tuple[str, str]:
    """Who asks, and about whom: by the names of today, or those of before."""
    operator, peer = body.Operator_Account or body.From_Account, body.Peer_Account or body.To_Account
    if operator is None:
        raise InvalidInput("Operator_Account", "Operator_Account is missing; it is required.")
    if peer is None or peer == operator:
        raise InvalidInput("Peer_Account", "Peer_Account must be the other user of the conversation.")
    return operator, peer


def _position(msg_key: str) -> int:
    found = _MSG_KEY.fullmatch(msg_key)
    if found is None:
        raise InvalidInput("LastMsgKey", "LastMsgKey must be one that the page before answered.")
    return int(found[1])


def _key(position: int, random: int) -> str:
    return f"{position}_{random}_{position // SECOND}"


def _roamed(message: Message, parties: tuple[str, str]) -> wire.RoamedMsg:
    random, custom_data = elements.read_metadata(message)
    operator, peer = parties
    return wire.RoamedMsg(
        From_Account=message.sender,
        To_Account=peer if message.sender == operator else operator,
        MsgSeq=message.position,
        MsgRandom=random,
        MsgTimeStamp=message.position // SECOND,
        MsgFlagBits=_RECALLED if message.recalled else 0,
        IsPeerRead=0,
        MsgKey=_key(message.position, random),
        MsgBody=[] if message.recalled else elements.as_body(message),
        CloudCustomData=custom_data,
    )


def _of_group(message: Message) -> wire.GroupMsg:
    random, custom_data = elements.read_metadata(message)
    return wire.GroupMsg(
        From_Account=message.sender,
        IsPlaceMsg=int(message.recalled),
        MsgBody=[] if message.recalled else elements.as_body(message),
        MsgRandom=random,
        MsgSeq=message.position,
        MsgTimeStamp=message.position // SECOND,
        CloudCustomData=custom_data,
    )
