"""What is done with files themselves, in both worlds: uploads, edits that say others, removal, and processes that die."""

from __future__ import annotations

from history.cursors import media_id
from tests.properties import media, rules
from tests.properties.days import SECOND
from tests.properties.files import File
from tests.properties.looks import Looks
from tests.properties.state import Place

UNUSED_AFTER = 24 * 3_600 * SECOND
UNFINISHED_AFTER = 2 * 3_600 * SECOND


class MediaSteps(Looks):
    """Files come, are said by messages, and are removed."""

    def upload(self, user: str | None, *, cut: str | None = None) -> File:
        """A file of a user or of the backend, of a size of its own; or its process dies before or after the object."""
        shelf = self.model.shelf
        size = len(shelf.names) + 1
        uploading = self.world.media.upload(self.world.app_key, user, size, cut=cut)
        found = self.world.run(uploading)
        assert (found is None) == (cut is not None)
        [id_] = self.world.run(self.world.media.rows()).keys() - shelf.files.keys()
        whole = found is not None
        file = File(
            id=id_,
            name=media_id(id_.bytes),
            uploader=user,
            size=size if whole else 0,
            stored=None if cut == "before write" else size,
            look_at=self.model.now + (UNUSED_AFTER if whole else UNFINISHED_AFTER),
            state="ready" if whole else "uploading",
        )
        shelf.add(file)
        return file

    def remove(self, index: int, *, cut: str | None = None) -> bool:
        """An admin removes one of the last files, unless a message needs it or a hold covers it; whether it goes."""
        shelf = self.model.shelf
        name = self.file_names((index,))[0]
        done = self.world.run(self.world.media.remove(self.world.app_key, name, cut=cut))
        file = shelf.files.get(shelf.names[name])
        there = file is not None and file.state != "uploading"
        assert (done is None) == (not there)
        if file is None or not there:
            return False
        assert done == media.remove(self.model, file)
        if done and cut is None:
            media.finish(self.model, file)
        elif done and cut == "after delete":
            file.stored = None
        return bool(done)

    def edit(self, user: str, place: Place, files: tuple[int, ...]) -> bool:
        """The sender says something else, and other files; or it is refused. Whether it is done."""
        content = f"now {self.model.now}" + self.says(files)
        editing = self.world.edit(self.key_of(place.channel), place.id, user, content)
        may = rules.editable(self.model, place.channel, place.position) == user
        may = may and all(map(self.model.shelf.ready, self.model.shelf.said(content)))
        may = may and not self.model.held(self.model.channels[place.channel])
        assert self.world.run(editing) == may
        if may:
            self.model.edit(place.channel, place.position, content)
        return may
