"""What admins do, in both worlds: settings, holds, policies."""

from __future__ import annotations

from uuid import UUID

from history.channels.model import ChannelType
from history.errors import NotConfirmed
from history.policies.model import Scope as RealScope
from tests.properties import receipts
from tests.properties.ground import Ground
from tests.properties.looks import Looks
from tests.properties.state import Hold, Scope


class AdminSteps(Looks):
    """Settings, holds and policies."""

    def __init__(self, ground: Ground, now: int) -> None:
        super().__init__(ground, now)
        self._hold_ids: list[UUID] = []

    def change(self, changes: dict[str, bool | int | str]) -> None:
        """An admin changes settings."""
        after = self.world.run(self.world.apps.change(self.world.app_key, changes))
        for name, value in changes.items():
            setattr(self.model.settings, name, value)
            assert getattr(after, name) == value

    def place_hold(self, pair: tuple[str, str] | None, user: str | None) -> None:
        """On a channel, a user, or the app; there may be several of a kind."""
        key = self.world.key(*pair) if pair else None
        placing = self.world.policies.place_hold(
            self.world.app_key, channel=key, user_id=user, reason="a case"
        )
        placed = self.world.run(placing)
        self.model.holds.append(Hold((int(key.type), key.key) if key else None, user))
        self._hold_ids.append(placed.id)

    def release_hold(self, index: int) -> None:
        """One of them."""
        number = index % len(self.model.holds)
        self.world.run(self.world.policies.release_hold(self.world.app_key, self._hold_ids.pop(number)))
        self.model.holds.pop(number)

    def set_policy(self, scope: Scope, days: int | None, *, confirms: bool) -> None:
        """A shorter age says what it takes from view and is done when that is sent back, else not."""
        before = self.model.max_age(scope)
        after = self._after(scope, days)
        shorter = after is not None and (before is None or after < before)
        confirmation = self._ask(scope, days, "what somebody made up")
        assert (confirmation is not None) == shorter
        if after is not None and confirmation is not None:
            expected = receipts.taken_by_policy(self.model, scope, after, before)
            assert (confirmation.messages, confirmation.channels) == expected
            if not confirms:
                return
            assert self._ask(scope, days, confirmation.confirm) is None
        self._set(scope, days)

    def _after(self, scope: Scope, days: int | None) -> int | None:
        was = dict(self.model.policies), self.model.settings.retention_days
        self._set(scope, days)
        after = self.model.max_age(scope)
        self.model.policies, self.model.settings.retention_days = was
        return after

    def _set(self, scope: Scope, days: int | None) -> None:
        if scope.type is None:
            self.model.settings.retention_days = days or 0
        elif days is None:
            self.model.policies.pop(scope, None)
        else:
            self.model.policies[scope] = days

    def _ask(self, scope: Scope, days: int | None, confirm: str) -> NotConfirmed | None:
        type_ = None if scope.type is None else ChannelType(scope.type)
        real = RealScope(app_key=self.world.app_key, type=type_, channel_id=scope.channel)
        try:
            self.world.run(self.world.policies.set_policy(real, days, confirm=confirm))
        except NotConfirmed as refused:
            return refused
        return None
