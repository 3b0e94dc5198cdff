"""Holds and policies: placed, listed, released; set, shortened only with a confirmation, removed.

Whatever may lower a floor takes the app's row, so that it comes before or after every grant: a hold covers all that was
not granted away before. Whatever may raise one marks the app's channels due.
"""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID, uuid4

from history.apps import store as apps_store
from history.axis import DAY
from history.channels.model import ChannelKey
from history.clock import Clock
from history.database import Connection, Database
from history.errors import NotConfirmed, NotFound
from history.policies import store
from history.policies.model import MOST_PREVIEWED, Hold, Scope


class Policies:
    """The use-cases of holds and policies."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def place_hold(
        self, app_key: str, *, channel: ChannelKey | None, user_id: str | None, reason: str
    ) -> Hold:
        """From now on nothing is deleted or emptied in what it covers: the channel, the user's channels, or the app."""
        hold = Hold(
            id=uuid4(),
            app_key=app_key,
            channel=channel,
            user_id=user_id,
            reason=reason,
            created_at=self._clock.now(),
        )
        async with self._database.writing() as connection:
            await self._lock(connection, app_key)
            await store.insert_hold(connection, hold)
        return hold

    async def holds(self, app_key: str) -> Sequence[Hold]:
        """The holds of an app, oldest first."""
        async with self._database.reading() as connection:
            return await store.list_holds(connection, app_key)

    async def release_hold(self, app_key: str, id_: UUID) -> None:
        """Let reclaim go on with what it covered."""
        async with self._database.writing() as connection:
            await self._lock(connection, app_key)
            if not await store.delete_hold(connection, app_key, id_):
                raise NotFound("The app has no hold of this id.")
            await store.mark_app_due(connection, app_key)

    async def policy(self, scope: Scope) -> tuple[int | None, int | None]:
        """(the days that count for the scope, its own days)."""
        async with self._database.reading() as connection:
            return await store.get_policy(connection, scope)

    async def set_policy(self, scope: Scope, max_age_days: int | None, *, confirm: str | None) -> None:
        """Set the scope's own age in days, None to remove it; in force on reads at once, on disk later.

        NotConfirmed where that takes messages from view: it holds what would go and what to send back.
        """
        now = self._clock.now()
        async with self._database.writing() as connection:
            await self._lock(connection, scope.app_key)
            before, _ = await store.get_policy(connection, scope)
            await store.update_policy(connection, scope, max_age_days)
            after, _ = await store.get_policy(connection, scope)
            if after is not None and (before is None or after < before):
                first = 0 if before is None else now - before * DAY
                preview = await store.count_older(
                    connection, scope, first=first, end=now - after * DAY, most=MOST_PREVIEWED
                )
                expected = preview.confirmation(scope, after)
                if confirm != expected:
                    # the exception rolls the change back
                    many = "" if preview.complete else "at least "
                    raise NotConfirmed(
                        f"This takes {many}{preview.messages} messages in {preview.channels} channels from view; "
                        "send it again with confirm to have it done.",
                        messages=preview.messages,
                        channels=preview.channels,
                        confirm=expected,
                    )
            await store.mark_app_due(connection, scope.app_key)

    async def _lock(self, connection: Connection, app_key: str) -> None:
        if await apps_store.lock_app(connection, app_key) is None:
            raise NotFound("There is no app with this App-Key.")
