"""What every surface does alike: a message on its way in, and a clean."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from history.apps.model import App
from history.axis import NEVER, SECOND
from history.channels.model import ChannelKey, ChannelType
from history.errors import NotEnabled, TooLong
from history.messages.model import Draft, Flags, check_size
from history.retention.model import EVERYONE, Accepted, CleanDraft
from server.services import Services

LONGEST_METADATA_VALUE = 4_096


def draft(
    app: App,
    type_: ChannelType,
    channels: Sequence[ChannelKey],
    *,
    sender: str,
    message_type: str,
    content: str,
    persisted: bool = True,
    flags: int = 0,
    recipients: tuple[str, ...] | None = None,
    metadata: str | None = None,
    client_key: str | None = None,
) -> Draft:
    """A message for channels of one type; TooLong where its content is. History is stored where the app stores it."""
    check_size(content, app.settings.max_content_bytes)
    return Draft(
        channels=tuple(channels),
        sender=sender,
        type=message_type,
        content=content,
        flags=flags | (Flags.PERSISTED if persisted and stored(app, type_) else 0),
        recipients=recipients,
        metadata=metadata,
        client_key=client_key,
        key_kept=app.settings.idempotency_hours * 3_600 * SECOND,
    )


def kept_metadata(metadata: Mapping[str, Any] | None, *, kept: bool) -> str | None:
    """The metadata as it is stored: a value that is no text is kept as its JSON. Checked also where it is not kept."""
    if not metadata:
        return None
    values = {
        key: value if isinstance(value, str) else msgspec.json.encode(value).decode()
        for key, value in metadata.items()
    }
    for key, value in values.items():
        if len(value) > LONGEST_METADATA_VALUE:
            field = f"metadata.{key}"
            raise TooLong(field, f"{field} is too long: at most {LONGEST_METADATA_VALUE} characters.")
    return msgspec.json.encode(values).decode() if kept else None


def stored(app: App, type_: ChannelType) -> bool:
    """Whether the app's cloud storage has history of this channel type."""
    settings = app.settings
    return settings.open_storage if type_ is ChannelType.OPEN else settings.direct_group_storage


def check_storage(app: App, type_: ChannelType) -> None:
    """NotEnabled where the storage of this channel type is off."""
    if not stored(app, type_):
        name = "openStorage" if type_ is ChannelType.OPEN else "directGroupStorage"
        raise NotEnabled(f"History is not stored here: the app's setting {name} is off.")


async def clean(
    services: Services,
    app: App,
    channel: ChannelKey,
    *,
    user: str,
    operator: str | None = None,
    before: int = NEVER,
    source: str,
    delete_compensated: bool | None = None,
    delete_media: bool = False,
    undo_seconds: int | None = None,
    admitted: bool = False,
) -> Accepted:
    """Clean a channel for a user, or for EVERYONE by an operator: in the journal and so in force, and announced.

    RateLimited where the app has asked for too many in this second, unless its request was `admitted` as a whole;
    NotEnabled where nothing is stored.
    """
    check_storage(app, channel.type)
    if not admitted:
        await services.limits.admit_clean(app)
    accepted = await services.cleans.accept(
        CleanDraft(
            channel=channel,
            user_id=user,
            operator=operator if user == EVERYONE else None,
            before=before,
            delete_compensated=delete_compensated,
            delete_media=delete_media,
            undo_seconds=undo_seconds,
            reason=None,
            source=source,
        )
    )
    await services.queue.announce(accepted)
    return accepted
