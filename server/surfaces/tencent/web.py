"""deleteConversation for web clients: a user takes conversations from his list, by the ids that Tencent's SDK gives them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from history.apps.model import App
from history.channels.model import ChannelKey, ChannelType, channel_key
from history.cursors import MOST_ID_CHARACTERS
from history.delivery.model import ConversationFilter
from history.errors import InvalidInput, NotFound, TidemarkError
from server.calls import Call, Reply
from server.services import Services
from server.surfaces.tencent import wire
from server.surfaces.tencent.handlers import clear
from server.surfaces.tencent.surface import TooMany

SOURCE = "tencent-web"
MOST = 100
_SYSTEM = "@TIM#SYSTEM"
_DIRECT, _GROUP = "C2C", "GROUP"
_PAGE = 100
_FIELD = "conversationIDList"


async def delete(call: Call[wire.WebDelete]) -> Reply:
    """Take conversations from the user's list, and unless he says no clean his history of them; which of them there were.

    One that fails by itself drops out of the answer, and stays on the list.
    """
    named, app, user = call.body.conversationIDList, call.app, call.user
    clears, with_media = call.body.clearHistoryMessage is not False, bool(call.body.deleteMedia)
    if with_media and not clears:
        raise InvalidInput(
            "deleteMedia", "deleteMedia does not go with clearHistoryMessage false: nothing is cleaned then."
        )
    ids = [named] if isinstance(named, str) else list(dict.fromkeys(named))
    _check(ids)
    channels = {id_: await _channels(call.services, app, user, id_) for id_ in ids}
    flat = [channel for of_one in channels.values() for channel in of_one]
    there = await call.services.conversations.there(app.app_key, user, flat)
    gone = [channel for channel, is_there in zip(flat, there, strict=True) if is_there]
    error: TidemarkError | None = None
    if clears:
        # first: what is cut off here can be asked for again, because it still stands on the list
        gone, error = await _cleared(call.services, app, user, gone, delete_media=with_media)
    await call.services.conversations.remove(app.app_key, user, gone)
    deleted = [id_ for id_, of_one in channels.items() if of_one and set(of_one) <= set(gone)]
    if not deleted:
        raise error or NotFound("None of these conversations is on the list of this user.")
    if isinstance(named, str):
        return Reply(result=wire.WebDeleted(conversationID=named))
    return Reply(result=wire.WebDeleted(conversationIDList=deleted))


async def _cleared(
    services: Services, app: App, user: str, channels: Sequence[ChannelKey], *, delete_media: bool
) -> tuple[list[ChannelKey], TidemarkError | None]:
    """Those of which the user's history was cleaned, and why the others were not."""

    async def one(channel: ChannelKey) -> TidemarkError | None:
        try:
            await clear(services, app, channel, user, source=SOURCE, delete_media=delete_media)
        except TidemarkError as exc:
            return exc
        return None

    errors = await asyncio.gather(*map(one, channels))
    cleared = [channel for channel, error in zip(channels, errors, strict=True) if error is None]
    return cleared, next((error for error in errors if error is not None), None)


async def _channels(services: Services, app: App, user: str, id_: str) -> Sequence[ChannelKey]:
    """What an id names: all system channels of the user, or one channel; none where it would be with himself."""
    if id_ == _SYSTEM:
        return await _system_channels(services, app, user)
    if id_.startswith(_GROUP):
        return [
            channel_key(app.app_key, ChannelType.GROUP, channel_id=id_.removeprefix(_GROUP), user_id=user)
        ]
    peer = id_.removeprefix(_DIRECT)
    if peer == user:
        return []
    return [channel_key(app.app_key, ChannelType.DIRECT, channel_id=peer, user_id=user)]


async def _system_channels(services: Services, app: App, user: str) -> list[ChannelKey]:
    found: list[ChannelKey] = []
    more, after = True, None
    while more:
        page, more = await services.conversations.list(
            app.app_key, user, filters=ConversationFilter(type=ChannelType.SYSTEM), limit=_PAGE, after=after
        )
        found += [view.channel for view in page]
        after = found[-1] if found else None
    return found


def _check(ids: Sequence[str]) -> None:
    if not ids:
        raise InvalidInput(_FIELD, f"{_FIELD} must name at least one conversation.")
    if len(ids) > MOST:
        raise TooMany(_FIELD, f"{_FIELD} has too many entries: at most {MOST} conversations in one call.")
    for number, id_ in enumerate(ids):
        field = f"{_FIELD}[{number}]"
        prefix = next((one for one in (_DIRECT, _GROUP) if id_.startswith(one)), "")
        name = id_.removeprefix(prefix)
        if id_ != _SYSTEM and (not prefix or not name or len(name) > MOST_ID_CHARACTERS):
            raise InvalidInput(
                field,
                f"{field} must be C2C and a user, GROUP and a group (1 to 64 characters), or {_SYSTEM}.",
            )
