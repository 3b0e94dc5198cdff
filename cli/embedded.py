"""The embedded servers together: what `up` and the tests start."""

from __future__ import annotations

from collections.abc import Mapping
from types import TracebackType
from typing import Self

from cli import orphans
from cli.binaries import postgres_installation, valkey_server
from cli.folder import DataFolder
from cli.placement import place, runnable
from cli.postgres import Postgres
from cli.processes import Checkpoint, no_checkpoint
from cli.valkey import Valkey


class Embedded:
    """PostgreSQL and Valkey of one data folder, which the caller has opened.

    Making one stops what an `up` that was killed left running on that folder.
    """

    def __init__(
        self, folder: DataFolder, *, settings: Mapping[str, str] | None = None, databases: int = 16
    ) -> None:
        installation, valkey = postgres_installation(), valkey_server()
        self.placement = place(folder)
        self.stopped_orphans = orphans.stop(folder.mark, self.placement)
        self.postgres = Postgres(
            installation=runnable(installation, self.placement.account),
            placement=self.placement,
            address=folder.run,
            log=folder.log("postgres"),
            mark=folder.mark,
            settings=settings or {},
        )
        self.valkey = Valkey(
            program=valkey,
            sockets=self.placement.sockets,
            address=folder.run,
            log=folder.log("valkey"),
            mark=folder.mark,
            databases=databases,
        )

    @property
    def database_url(self) -> str:
        """Where PostgreSQL is reached."""
        return self.postgres.url

    @property
    def redis_url(self) -> str:
        """Where Valkey is reached."""
        return self.valkey.url

    def start(self, checkpoint: Checkpoint = no_checkpoint) -> None:
        """Starts both; `checkpoint` is asked while waiting, and may raise."""
        self.postgres.check_version()
        self.postgres.start(checkpoint)
        self.valkey.start(checkpoint)

    def stop(self) -> None:
        """Stops both, in the order in which they are of no more use."""
        self.valkey.stop()
        self.postgres.stop()

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
