"""Messages go in by group commit and come out as history.

Promises: whoever was answered has his message on disk; positions in a channel are unique, increasing, and in the order of
commit; after a commit whose outcome is unknown nothing is sent again blindly.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, islice
from typing import Any

from history.apps import store as apps_store
from history.axis import DAY, NEVER
from history.batches import Batches
from history.channels import store as channels_store
from history.channels.model import MADE_BY_CALL, ChannelKey, missing
from history.channels.service import Channels
from history.clock import Clock
from history.cursors import NotOurs, message_id, read_message_id
from history.database import Connection, Database
from history.errors import (
    ClockJumped,
    Conflict,
    DatabaseUnavailable,
    InvalidInput,
    NotFound,
    OutcomeUnknown,
)
from history.messages import store
from history.messages.model import (
    MOST_PAGE_BYTES,
    Copy,
    Draft,
    Flags,
    Found,
    Message,
    Month,
    Range,
    check_size,
    fill,
    positions,
    targeted_tail,
)
from history.messages.store import MessageRow

_MOST_BATCH_BYTES = 4 * 1024 * 1024
_MOST_WAITING_BYTES = 64 * 1024 * 1024
"""One batch in flight and these waiting bound the memory of sends; a single request may be larger than a batch."""
_MONTHS_AHEAD = 2
_MOST_SENDERS = 200_000


class Messages:
    """The use-cases of messages."""

    def __init__(
        self,
        database: Database,
        channels: Channels,
        clock: Clock,
        *,
        most_batch_bytes: int = _MOST_BATCH_BYTES,
    ) -> None:
        """With `most_batch_bytes` 0 every request is a commit of its own."""
        self._database = database
        self._channels = channels
        self._clock = clock
        self.appended: Counter[str] = Counter()
        """How many messages of each app this process stored; who writes them down takes them off."""
        self._senders: dict[store.Sender, int] = {}
        self._batches: Batches[Draft, list[str]] = Batches(
            self._commit, weigh=Draft.weight, most_weight=most_batch_bytes, most_waiting=_MOST_WAITING_BYTES
        )

    async def send(self, draft: Draft) -> list[str]:
        """Store a message in each channel of the draft, all or none; their ids in the order of the channels.

        NotFound where a group or an open channel is not there. A draft whose key was used before is not stored again.
        """
        made_by_call = [key for key in draft.channels if key.type in MADE_BY_CALL]
        if made_by_call:
            # asked before the batch, so that it does not fail its neighbours
            for key, id_ in zip(made_by_call, await self._channels.locate(made_by_call), strict=True):
                if id_ is None:
                    raise missing(key)
        return await self._batches.submit(draft)

    async def recall(self, channel: ChannelKey, public_id: str, *, sender: str, admin: bool) -> None:
        """Take a message back from everyone. What is recalled, reclaimed or unknown already is no error."""
        try:
            channel_id, position = read_message_id(public_id)
        except NotOurs:
            return
        if (await self._channels.locate([channel]))[0] != channel_id:
            return
        async with self._database.reading() as connection:
            found = await store.get_message(connection, channel_id, position)
        if found is None or found[1]:
            return
        if found[0] != sender and not admin:
            raise InvalidInput(
                "fromUserId", "fromUserId did not send this message; only an admin may recall it."
            )
        async with self._database.writing() as connection:
            await apps_store.share_app(connection, channel.app_key)
            await store.recall(connection, channel_id, position, now=self._clock.now())

    async def edit(
        self,
        channel: ChannelKey,
        public_id: str,
        *,
        sender: str,
        content: str | None = None,
        metadata: str | None = None,
    ) -> Message:
        """Change what the sender's own message says, in its place; None leaves the content or the metadata as it is.

        NotFound where it is unknown, recalled, reclaimed, or cleaned for everyone; InvalidInput where another sent it;
        Conflict under a hold, because what it said would be lost.
        """
        [channel_id] = await self._channels.locate([channel])
        position = _position_in(channel_id, public_id)
        if channel_id is None or position is None:
            raise _no_message()
        async with self._database.writing() as connection:
            settings = await apps_store.share_app(connection, channel.app_key)
            if settings is not None and content is not None:
                check_size(content, settings.max_content_bytes)
            # what may recall it, grant it away or bring a user who is held waits, or is over
            await channels_store.lock_channel(connection, channel_id)
            now = self._clock.now()
            sent_by = await store.get_editable(connection, channel_id, position, now=now)
            if sent_by is None:
                raise _no_message()
            if sent_by != sender:
                raise InvalidInput(
                    "fromUserId", "fromUserId did not send this message; only its sender may change it."
                )
            edited = await store.update_edited(
                connection, channel_id, position, content=content, metadata=metadata, now=now
            )
        if edited is None:
            raise Conflict("A legal hold covers this message: what it says must stay as it is.")
        return edited

    async def hide(self, channel: ChannelKey, user_id: str, public_ids: Sequence[str]) -> list[bool]:
        """Delete messages by id for one participant: from his history and his compensation. Which of them there were."""
        [channel_id] = await self._channels.locate([channel])
        places = [_position_in(channel_id, public_id) for public_id in public_ids]
        found: set[int] | None = set()
        if channel_id is not None and (wanted := sorted({place for place in places if place is not None})):

            async def work() -> set[int] | None:
                async with self._database.writing() as connection:
                    return await store.hide(connection, channel_id, user_id, wanted, now=self._clock.now())

            found = await self._database.retrying(work)
        return [place in found if found else False for place in places]

    async def find(
        self, app_key: str, user_id: str, public_id: str, *, now: int | None = None
    ) -> Found | None:
        """A message by its id, as the user's history shows it; None where it does not, whatever the reason."""
        try:
            channel_id, position = read_message_id(public_id)
        except NotOurs:
            return None
        async with self._database.reading() as connection:
            return await store.get_shown(
                connection,
                app_key=app_key,
                channel_id=channel_id,
                user_id=user_id,
                position=position,
                now=self._clock.now() if now is None else now,
            )

    async def stored(
        self, channel: ChannelKey, range_: Range, *, most: int, with_recalled: bool
    ) -> list[Message]:
        """An admin's page of what is on disk there, newest first, whoever cleaned it and whether or not it was history.

        What was recalled has no content. Pages are cut by bytes as well: go on before the last one until one is empty.
        """
        [channel_id] = await self._channels.locate([channel])
        if channel_id is None:
            return []
        async with self._database.reading() as connection:
            found = await store.list_stored(
                connection,
                channel_id,
                range_,
                most=most,
                most_bytes=MOST_PAGE_BYTES,
                with_recalled=with_recalled,
            )
        return fill(found, most_bytes=MOST_PAGE_BYTES)

    async def history(
        self, channel: ChannelKey, user_id: str, range_: Range, *, most: int, with_recalled: bool = False
    ) -> list[Message]:
        """A page of what the user may read there, newest first; empty where that is nothing.

        `with_recalled` adds what he might read had it not been recalled, without what it said.
        """
        channel_id = (await self._channels.locate([channel]))[0]
        if channel_id is None:
            return []
        now = self._clock.now()
        async with self._database.reading() as connection:
            found = await store.list_history(
                connection,
                app_key=channel.app_key,
                channel_id=channel_id,
                user_id=user_id,
                range_=range_,
                now=now,
                most=most,
                most_bytes=MOST_PAGE_BYTES,
                with_recalled=with_recalled,
            )
        return fill(found, most_bytes=MOST_PAGE_BYTES, whole_milliseconds=True)

    async def page(
        self,
        channel: ChannelKey,
        user_id: str,
        *,
        below: int | None = None,
        above: int | None = None,
        most: int,
    ) -> tuple[list[Message], bool]:
        """At most so many of what the user may read there, newest first, and whether there are more in that direction: the
        newest, those next below a position, or those next above one."""
        [channel_id] = await self._channels.locate([channel])
        if channel_id is None:
            return [], False
        reading: Any = {
            "app_key": channel.app_key,
            "channel_id": channel_id,
            "user_id": user_id,
            "now": self._clock.now(),
            # one more says whether there is more
            "most": most + 1,
            "most_bytes": MOST_PAGE_BYTES,
        }
        async with self._database.reading() as connection:
            if above is not None:
                found = await store.list_after(connection, **reading, above=above)
            else:
                range_ = Range(first=0, end=NEVER if below is None else below)
                found = await store.list_history(connection, **reading, range_=range_)
        page = fill(found[:most], most_bytes=MOST_PAGE_BYTES)
        return (page[::-1] if above is not None else page), len(page) < len(found)

    async def make_months(self, *, now: int) -> None:
        """Have this month and the next ones ready, so that a month's end never stops a send."""
        months = [Month.of(now)]
        for _ in range(_MONTHS_AHEAD):
            months.append(months[-1].next())
        async with self._database.reading() as connection:
            there = await store.list_months(connection)
        missing = [month for month in months if month.table not in there]
        if missing:
            async with self._database.writing() as connection:
                await store.insert_months(connection, missing)

    async def _commit(self, drafts: Sequence[Draft]) -> list[list[str]]:
        # a jump of the clock, a missing month, a lost commit: each is put right once, then the batch is refused
        for again in (True, False):
            try:
                return await self._database.retrying(lambda: self._append(drafts))
            except store.NoMonth:
                if not again:
                    raise DatabaseUnavailable("There is no partition for this month.") from None
                await self.make_months(now=self._clock.now())
            except ClockJumped:
                if not again:
                    raise
        raise AssertionError("unreachable")

    async def _append(self, drafts: Sequence[Draft]) -> list[list[str]]:
        keys = {key for draft in drafts for key in draft.channels}
        ids: dict[ChannelKey, int] = {}
        copies: list[Copy] = []
        given: dict[Copy, int] = {}
        known: dict[store.ClientKey, int] = {}
        senders: dict[store.Sender, int] = {}
        transaction_id: str | None = None
        try:
            async with self._database.writing() as connection:
                now = self._clock.now()
                ids = await self._channels.ensure(connection, keys, now=now)
                copies = [Copy(draft, ids[key]) for draft in drafts for key in draft.channels]
                known = await _known(connection, copies, now=now)
                new = _first_of_each_key(copies, known)
                reserved = await self._reserve(connection, new, ids)
                transaction_id = reserved.transaction_id
                given = dict(zip(new, positions(new, reserved.ends), strict=True))
                await store.insert_messages(connection, _rows(given))
                await _note(connection, given, reserved)
                senders = self._unknown_senders(given, ids)
                if senders:
                    await store.upsert_senders(connection, senders)
                claimed = {copy.client_key: at for copy, at in given.items() if copy.client_key is not None}
                if claimed:
                    await store.update_key_positions(connection, claimed)
                known |= claimed
        except OutcomeUnknown:
            committed = await self._database.committed(transaction_id) if transaction_id else None
            if committed is False:
                raise DatabaseUnavailable(
                    "The database went away before the commit; send the message again."
                ) from None
            if committed is None:
                raise
        self._channels.remember(ids)
        self.appended.update(copy.draft.channels[0].app_key for copy in given)
        self._remember_senders(senders)
        answers = iter(_public_id(copy, given, known) for copy in copies)
        return [list(islice(answers, len(draft.channels))) for draft in drafts]

    def _unknown_senders(
        self, given: Mapping[Copy, int], ids: Mapping[ChannelKey, int]
    ) -> dict[store.Sender, int]:
        """Who wrote in a group or an open channel and was not noted there within the last day, and where he wrote last."""
        made_by_call = {id_ for key, id_ in ids.items() if key.type in MADE_BY_CALL}
        last: dict[store.Sender, int] = {}
        for copy, position in given.items():
            if copy.channel_id in made_by_call:
                sender = copy.channel_id, copy.draft.sender
                last[sender] = max(position, last.get(sender, 0))
        return {
            sender: position
            for sender, position in last.items()
            if not 0 <= position - self._senders.get(sender, -DAY) < DAY
        }

    def _remember_senders(self, noted: Mapping[store.Sender, int]) -> None:
        if len(self._senders) + len(noted) > _MOST_SENDERS:
            self._senders.clear()
        self._senders |= noted

    async def _reserve(
        self, connection: Connection, copies: Sequence[Copy], ids: Mapping[ChannelKey, int]
    ) -> store.Reserved:
        counts = Counter(copy.channel_id for copy in copies)
        asked_at, now = self._clock.mark(), self._clock.now()
        # the first instant at which time alone may let a message go that is not stored for history, or that perhaps
        # none of its recipients is there for
        due = {
            copy.channel_id: now + DAY
            for copy in copies
            if not copy.draft.flags & Flags.PERSISTED or copy.draft.recipients is not None
        }
        targeted = {id_: len(tail) for id_, tail in targeted_tail(copies).items()}
        reserved = await store.reserve_positions(connection, counts, due, now=now, targeted=targeted)
        for key, id_ in ids.items():
            if id_ in counts and id_ not in reserved.ends:
                self._channels.forget([key])
                raise (
                    missing(key)
                    if key.type in MADE_BY_CALL
                    else DatabaseUnavailable(
                        "A channel has vanished from the database; send the message again."
                    )
                )
        if not self._clock.observe(reserved.clock, asked_at):
            raise ClockJumped("The database's clock jumped by more than a second; send the message again.")
        return reserved


async def _known(connection: Connection, copies: Sequence[Copy], *, now: int) -> dict[store.ClientKey, int]:
    """Claim the senders' own ids; the positions of the messages that some of them stand for already."""
    lapses = {copy.client_key: now + copy.draft.key_kept for copy in copies if copy.client_key is not None}
    return await store.claim_keys(connection, lapses, now=now) if lapses else {}


async def _note(connection: Connection, given: Mapping[Copy, int], reserved: store.Reserved) -> None:
    """Let the lists of conversations know: of messages that are not for all, and where one comes back."""
    tails: dict[tuple[int, str], int] = {}
    for copy in chain.from_iterable(targeted_tail(list(given)).values()):
        for user in (copy.draft.sender, *(copy.draft.recipients or ())):
            tails[copy.channel_id, user] = given[copy]
    if tails:
        await store.raise_targeted(connection, tails)
    if reserved.some_removed:
        firsts: dict[int, int] = {}
        for copy, position in given.items():
            firsts.setdefault(copy.channel_id, position)
        await store.update_returned(connection, {id_: firsts[id_] for id_ in reserved.some_removed})


def _first_of_each_key(copies: Sequence[Copy], known: Mapping[store.ClientKey, int]) -> list[Copy]:
    """What is to be written: a key that is known, or that stands earlier in the batch, brings nothing."""
    seen = set(known)
    new = []
    for copy in copies:
        key = copy.client_key
        if key is None or key not in seen:
            new.append(copy)
        if key is not None:
            seen.add(key)
    return new


def _no_message() -> NotFound:
    return NotFound("There is no such message in this channel, or it is not there any more.")


def _position_in(channel_id: int | None, public_id: str) -> int | None:
    try:
        named, position = read_message_id(public_id)
    except NotOurs:
        return None
    return position if named == channel_id else None


def _public_id(copy: Copy, given: Mapping[Copy, int], known: Mapping[store.ClientKey, int]) -> str:
    key = copy.client_key
    return message_id(copy.channel_id, known[key] if key is not None else given[copy])


def _rows(given: Mapping[Copy, int]) -> Iterator[MessageRow]:
    for copy, position in given.items():
        draft = copy.draft
        yield (
            copy.channel_id,
            position,
            int(draft.flags),
            draft.sender,
            draft.type,
            draft.content,
            draft.recipients,
            draft.metadata,
        )
