"""The switches of cloud storage: what a send and a list do while one is off."""

from __future__ import annotations

import pytest

from history.apps.model import App, AppSettings
from history.channels.model import ChannelKey, ChannelType
from history.errors import NotEnabled
from history.messages.model import Flags
from server.drafts import check_storage, stored
from server.handlers.messages import _draft
from server.wire.messages import Send

DIRECT_GROUP = (ChannelType.DIRECT, ChannelType.GROUP, ChannelType.SYSTEM)


def _app(settings: AppSettings) -> App:
    return App(
        app_key="a",
        name="a",
        secret="s",
        previous_secret=None,
        previous_secret_until=0,
        created_at=0,
        settings=settings,
    )


@pytest.mark.parametrize("direct_group", [False, True])
@pytest.mark.parametrize("open_", [False, True])
def test_each_switch_is_for_its_types_of_channel(*, direct_group: bool, open_: bool) -> None:
    """Open channels have their own, all others share one; off, lists and cleans are refused by its name."""
    app = _app(AppSettings(direct_group_storage=direct_group, open_storage=open_))
    for type_ in ChannelType:
        on = direct_group if type_ in DIRECT_GROUP else open_
        assert stored(app, type_) is on
        if on:
            check_storage(app, type_)
        else:
            name = "directGroupStorage" if type_ in DIRECT_GROUP else "openStorage"
            with pytest.raises(NotEnabled, match=name):
                check_storage(app, type_)


@pytest.mark.parametrize(
    ("on", "asked", "kept"), [(True, None, 1), (True, 1, 1), (True, 0, 0), (False, 1, 0)]
)
def test_a_send_is_stored_for_history_where_both_say_so(*, on: bool, asked: int | None, kept: int) -> None:
    """Off, it is kept for what missed and compensation need, as with shouldPersist 0."""
    app = _app(AppSettings(direct_group_storage=on))
    body = Send(fromUserId="ann", messageType="text", content="c", shouldPersist=asked)
    key = ChannelKey("a", ChannelType.DIRECT, ("ann", "bob"))
    draft = _draft(app, body, ChannelType.DIRECT, [key], echo=True)
    assert int(draft.flags & Flags.PERSISTED) == kept
    assert draft.flags & Flags.ECHOED
