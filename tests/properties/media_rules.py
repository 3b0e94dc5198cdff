"""The rules of the state machine that are about files."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from tests.properties.clean_rules import CleanRules
from tests.properties.clean_steps import Reaches
from tests.properties.draws import cuts, indexes, sendings, some_files, uploaders, users
from tests.properties.state import EVERYONE
from tests.properties.steps import Sending


class MediaRules(CleanRules):
    """Part of tests.properties.machine.Machine."""

    @rule(user=uploaders, cut=st.none() | cuts("write"))
    def upload(self, user: str | None, cut: str | None) -> None:
        """A file, or one whose process dies on the way."""
        self.steps.upload(user, cut=cut)

    @rule(
        user=uploaders,
        sends=st.lists(sendings, min_size=1, max_size=2),
        receives=st.booleans(),
        cleans=st.lists(st.sampled_from((True, True, False)), min_size=1, max_size=3),
        everyone=st.sampled_from((False, False, False, True)),
        reaches=st.sampled_from((Reaches.MARKS, Reaches.FLOOR, Reaches.DISK, Reaches.DISK)),
    )
    def share_a_file(
        self,
        user: str | None,
        sends: list[Sending],
        receives: bool,
        cleans: list[bool],
        everyone: bool,
        reaches: Reaches,
    ) -> None:
        """From its upload to where those whom the first message was for clean it, with its files or without."""
        self.steps.upload(user)
        self.steps.send([sending._replace(files=(0, *sending.files)) for sending in sends])
        pair = sends[0].pair
        if receives:
            for sending in sends:
                self._receive_all(sending.pair, "phone")
        sides = self.steps.sides(pair)[:1] if everyone else self.steps.sides(pair)
        for number, (side, name) in enumerate(sides):
            self.steps.clean(
                side,
                name,
                whose=EVERYONE if everyone else side,
                sent_at=None,
                flag=True,
                media=cleans[number % len(cleans)],
                reaches=reaches,
                undo=0,
            )

    @precondition(lambda self: self.steps.sent)
    @rule(index=indexes, user=st.none() | users, files=some_files)
    def edit(self, index: int, user: str | None, files: tuple[int, ...]) -> None:
        """By its sender (None), or somebody who may not."""
        place = self.steps.sent[-1 - index % len(self.steps.sent)]
        message = self.steps.model.channels[place.channel].messages.get(place.position)
        sender = message.sender if message else "ann"
        self.steps.edit(user or sender, place, files)

    @precondition(lambda self: self.steps.model.shelf.names)
    @rule(index=indexes, cut=st.none() | cuts("delete"))
    def remove_a_file(self, index: int, cut: str | None) -> None:
        """By an admin, whose process may die on the way."""
        self.steps.remove(index, cut=cut)

    @precondition(lambda self: self.steps.model.shelf.names)
    @rule(checks=st.booleans())
    def look_at_files(self, checks: bool) -> None:
        """What is due goes, whatever reclaim has yet to do; and then store and table are compared."""
        self.steps.look_at_files()
        if checks:
            self.steps.check_files()
