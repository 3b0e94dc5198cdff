"""The files of the model, and which message refers to which: written from the table of docs/api.md, never from the SQL."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple
from uuid import UUID

from tests.properties.state import Sent

_REFERENCE = re.compile(r"media:\[([^\]]+)\]")


@dataclass(slots=True, kw_only=True)
class File:
    """A file as its row has it."""

    id: UUID
    name: str
    """As messages write it."""
    uploader: str | None
    size: int
    """As its row says: 0 until it is whole."""
    stored: int | None
    """The bytes of its object; None where it is not there."""
    look_at: int | None
    """When to see whether it may go."""
    state: str = "ready"


class Spot(NamedTuple):
    """A message and one of its files."""

    channel: int
    position: int
    file: UUID


@dataclass(slots=True)
class Reference:
    """That a message refers to a file; it outlives the message."""

    message: Sent
    gone: bool = False
    """It was seen that the message is gone."""
    keeper: str | None = None
    """Then: somebody who did not give up its files."""


@dataclass(slots=True)
class Shelf:
    """What was uploaded, and what needs it."""

    files: dict[UUID, File] = field(default_factory=dict)
    references: dict[Spot, Reference] = field(default_factory=dict)
    names: dict[str, UUID] = field(default_factory=dict)
    """Of all files that ever were, in the order of their uploads."""

    def add(self, file: File) -> None:
        """A file is there, or on its way."""
        self.files[file.id] = file
        self.names[file.name] = file.id

    def ready(self, id_: UUID) -> bool:
        """Whether a message may refer to it."""
        return id_ in self.files and self.files[id_].state == "ready"

    def said(self, content: str) -> list[UUID]:
        """The files that a message says."""
        return [self.names[name] for name in _REFERENCE.findall(content)]

    def of_file(self, id_: UUID) -> Iterator[tuple[Spot, Reference]]:
        """What refers to the file."""
        return ((spot, one) for spot, one in self.references.items() if spot.file == id_)

    def refer(self, channel_id: int, message: Sent) -> None:
        """A message is there with what it says."""
        for id_ in self.said(message.content):
            self.references[Spot(channel_id, message.position, id_)] = Reference(message)

    def unsay(self, channel_id: int, position: int, now: int, *, but: Sequence[UUID] = ()) -> None:
        """A message says nothing any more, or something else: what it needed is looked at, `but` excepted."""
        for spot in list(self.references):
            if spot[:2] == (channel_id, position):
                del self.references[spot]
                if spot.file not in but:
                    self.mark(spot.file, now)

    def mark(self, id_: UUID, now: int) -> None:
        """Something needs the file no more: see whether it may go."""
        file = self.files[id_]
        if file.state == "ready":
            file.look_at = now if file.look_at is None else min(file.look_at, now)

    def delete(self, id_: UUID) -> None:
        """The file is gone, and with it what referred to it."""
        del self.files[id_]
        for spot, _ in list(self.of_file(id_)):
            del self.references[spot]
