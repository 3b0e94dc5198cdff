"""The rules of files over the model: who may read one, who keeps it, when it goes, and for which cleans that counts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple
from uuid import UUID

from tests.properties import rules
from tests.properties.days import SECOND
from tests.properties.files import File, Reference, Spot
from tests.properties.model import Model
from tests.properties.state import EVERYONE, OPEN, Conversation, Hold, Request, Sent

AGAIN_AFTER = 60 * SECOND
"""When a deletion that was cut short is gone on with."""
HELD_AFTER = 600 * SECOND
"""When a file is looked at again that nothing but a hold on a channel keeps."""


class Looked(NamedTuple):
    """What a round over due files did."""

    seen: int
    files: int
    size: int


def readable(model: Model, user: str) -> set[UUID]:
    """The files that a user may read: of messages that he may be given, and those that he uploaded for one to come."""
    contents = [
        model.channels[channel_id].messages[at].content
        for channel_id in model.channels
        for at in rules.history(model, channel_id, user)
    ]
    contents += [given.content for given in rules.sync(model, user, rules.NEW_DEVICE)]
    shelf = model.shelf
    found = {id_ for content in contents for id_ in shelf.said(content)}
    referred = {spot.file for spot in shelf.references}
    found |= {file.id for file in shelf.files.values() if file.uploader == user and file.id not in referred}
    return {id_ for id_ in found if shelf.ready(id_)}


def needed(model: Model) -> set[UUID]:
    """The files of messages that are on disk and say something."""
    return {
        id_
        for channel in model.channels.values()
        for message in channel.messages.values()
        for id_ in model.shelf.said(message.content)
    }


def keepers(model: Model, spot: Spot, reference: Reference) -> set[str]:
    """Those for whom the message was history, who take part and have not given its files up; EVERYONE in an open channel."""
    channel = model.channels[spot.channel]
    first = max(channel.everyone.settled_media, model.policy_from(channel))
    recalled = any(recall.position == spot.position for recall in channel.recalls)
    if not reference.message.persisted or recalled or spot.position < first:
        return set()
    if channel.type == OPEN:
        return {EVERYONE}
    return {
        user
        for user in channel.members()
        if rules.shown(reference.message, user, channel.conversations[user])
        and spot.position >= channel.conversations[user].marks.settled_media
    }


def kept(model: Model) -> dict[UUID, list[tuple[int, int, str]]]:
    """The files that no message on disk refers to and that somebody kept: where, and who."""
    found: dict[UUID, list[tuple[int, int, str]]] = {}
    for spot, one in sorted(model.shelf.references.items()):
        if one.keeper is not None and model.shelf.ready(spot.file):
            found.setdefault(spot.file, []).append((spot.channel, spot.position, one.keeper))
    # a list shows ten
    return {
        id_: who[:10] for id_, who in found.items() if all(one.gone for _, one in model.shelf.of_file(id_))
    }


def judge(model: Model, channel_id: int, told: Mapping[Spot, str | None]) -> None:
    """After a visit: whoever kept a file goes on, else one of those who may, `told`; what nobody keeps is looked at."""
    channel = model.channels[channel_id]
    if model.held(channel):
        return
    for spot, one in model.shelf.references.items():
        if (
            spot.channel != channel_id
            or spot.position in channel.messages
            or (one.gone and one.keeper is None)
        ):
            continue
        who = keepers(model, spot, one)
        before, one.gone = one.keeper, True
        if before not in who:
            one.keeper = told.get(spot) if told.get(spot) in who else min(who, default=None)
        if one.keeper is None:
            model.shelf.mark(spot.file, model.now)


def look(model: Model) -> Looked:
    """The worker looks at what is due: it stays while something needs it or a hold covers it."""
    due = [file for file in model.shelf.files.values() if _due(model, file)]
    gone = [file for file in due if file.state != "ready" or not _stays(model, file)]
    size = sum(file.size for file in gone)
    for file in gone:
        give_up(model, file)
        finish(model, file)
    return Looked(len(due), len(gone), size)


def remove(model: Model, file: File) -> bool:
    """An admin removes it; False while a message needs it, or under a hold."""
    if file.state == "ready":
        references = [one for _, one in model.shelf.of_file(file.id)]
        if not all(one.gone for one in references) or held(model, file):
            return False
        give_up(model, file)
    return True


def give_up(model: Model, file: File) -> None:
    """No message can refer to it any more; whoever dies now is followed."""
    file.state, file.look_at = "deleting", model.now + AGAIN_AFTER


def finish(model: Model, file: File) -> None:
    """Its object goes, then its row; the cleans that gave it up count it."""
    for request in model.journal:
        if request.media and request.state == "settled" and _gave_up(model, request, file):
            request.files, request.size = request.files + 1, request.size + file.size
    model.shelf.delete(file.id)


def held(model: Model, file: File) -> bool:
    """Whether a hold covers it: on the app, its uploader, or the channel of what refers to it."""
    channels = [model.channels[spot.channel] for spot, _ in model.shelf.of_file(file.id)]
    return _held_itself(model, file) or any(model.held(channel) for channel in channels)


def reason(model: Model, file: File) -> str | None:
    """Why the file is there, once the worker has done all it can; None: it ought not to be."""
    if file.id in needed(model):
        return "a message says it"
    if any(keepers(model, spot, one) for spot, one in model.shelf.of_file(file.id)):
        return "somebody kept it"
    if held(model, file):
        return "a hold covers it"
    if file.look_at is not None and file.look_at > model.now:
        return "its time has not come"
    return None


def _held_itself(model: Model, file: File) -> bool:
    return any(hold == Hold(None, None) or (hold.user and hold.user == file.uploader) for hold in model.holds)


def _due(model: Model, file: File) -> bool:
    return file.look_at is not None and file.look_at <= model.now and not _held_itself(model, file)


def _stays(model: Model, file: File) -> bool:
    references = dict(model.shelf.of_file(file.id))
    if any(not one.gone or one.keeper is not None for one in references.values()):
        # whatever takes that away looks again
        file.look_at = None
        for spot, one in references.items():
            if one.gone and one.keeper is None:
                del model.shelf.references[spot]
        return True
    if held(model, file):
        file.look_at = model.now + HELD_AFTER
        return True
    return False


def _gave_up(model: Model, request: Request, file: File) -> bool:
    """For one of the messages that are gone it was the first that covers it, of one whom the message was for."""
    return any(
        _covers(request, spot)
        and one.gone
        and one.keeper is None
        and one.message.persisted
        and (request.user == EVERYONE or _was_for(model, spot, one.message, request.user))
        and not any(
            _covers(other, spot) and other.user in (EVERYONE, request.user)
            for other in model.journal
            if other.media and other.state == "settled" and other.accepted_at < request.accepted_at
        )
        for spot, one in model.shelf.of_file(file.id)
    )


def _covers(request: Request, spot: Spot) -> bool:
    return request.channel == spot.channel and spot.position < request.cutoff


def _was_for(model: Model, spot: Spot, message: Sent, user: str) -> bool:
    """He took part, and may since have left or deleted it by its id."""
    conversation = model.channels[spot.channel].conversations.get(user)
    if conversation is None or (conversation.left is not None and spot.position >= conversation.left):
        return False
    return rules.shown(message, user, Conversation(joined=conversation.joined))
