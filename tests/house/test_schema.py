"""schema.sql is the sum of the migrations, reads as a document, and says the same as Python."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import asyncpg
import pytest

from history import migrate
from history.apps.model import AppSettings
from history.channels.model import ChannelKey, ChannelType, derived_id
from history.clock import DatabaseClock
from history.database import open_database
from history.delivery.model import ConversationView
from history.errors import SchemaMismatch
from history.messages.model import Flags, Month
from history.queries import blocks
from history.sweep.model import SweepReport
from tests.factories import NOON, World, open_world

FEATURES = sorted(path.parent.name for path in migrate.SCHEMA.parent.glob("history/*/queries.sql"))
SCHEMA = migrate.SCHEMA.read_text(encoding="utf-8")
NEWEST = max(migrate.migrations())

CATALOG = {
    "columns": """SELECT c.relname, a.attnum, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull,
            pg_get_expr(d.adbin, d.adrelid), a.attcollation::regcollation::text, col_description(c.oid, a.attnum)
        FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
            LEFT JOIN pg_attrdef d ON (d.adrelid, d.adnum) = (c.oid, a.attnum)
        WHERE a.attnum > 0 AND NOT a.attisdropped AND {ours} ORDER BY 1, 2""",
    "tables": """SELECT c.relname, c.relkind, c.reloptions, pg_get_partkeydef(c.oid), obj_description(c.oid, 'pg_class')
        FROM pg_class c WHERE {ours} ORDER BY 1""",
    "constraints": """SELECT c.relname, k.conname, pg_get_constraintdef(k.oid), obj_description(k.oid, 'pg_constraint')
        FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid WHERE k.contype <> 'n' AND {ours} ORDER BY 1, 2""",
    "indexes": """SELECT c.relname, i.relname, pg_get_indexdef(i.oid), i.reloptions
        FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid JOIN pg_class c ON c.oid = x.indrelid
        WHERE {ours} ORDER BY 1, 2""",
    "functions": "SELECT p.oid::regprocedure::text FROM pg_proc p WHERE p.pronamespace = 'public'::regnamespace ORDER BY 1",
    "triggers": "SELECT pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal ORDER BY 1",
    "types": """SELECT typname, typtype FROM pg_type
        WHERE typnamespace = 'public'::regnamespace AND typtype IN ('e', 'd') ORDER BY 1""",
}
OURS = "c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm', 'S') AND NOT c.relispartition"


async def _catalog(url: str) -> dict[str, list[tuple[object, ...]]]:
    connection = await asyncpg.connect(url)
    try:
        return {
            name: [tuple(row) for row in await connection.fetch(sql.replace("{ours}", OURS))]
            for name, sql in CATALOG.items()
        }
    finally:
        await connection.close()


async def _execute(url: str, *statements: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        for statement in statements:
            await connection.execute(statement)
    finally:
        await connection.close()


async def test_the_schema_is_the_sum_of_the_migrations(empty_database_url: str, database_url: str) -> None:
    """A database that came all the way has the same catalog as a new one."""
    await _execute(
        empty_database_url, *(path.read_text(encoding="utf-8") for path in migrate.migrations().values())
    )
    stepped, made = await _catalog(empty_database_url), await _catalog(database_url)
    assert stepped == made
    assert len(made["tables"]) > 5


def test_migrations_are_numbered_without_a_gap_and_schema_sql_is_of_the_last() -> None:
    """So that every database knows its next step."""
    assert sorted(migrate.migrations()) == list(range(1, NEWEST + 1))
    assert re.findall(r"INSERT INTO schema_version .*VALUES \((\d+)\)", SCHEMA) == [str(NEWEST)]


async def test_every_constraint_and_index_is_named_in_the_schema(database_url: str) -> None:
    """Errors are looked up by these names; only NOT NULL goes without."""
    catalog = await _catalog(database_url)
    constraints = {str(name) for _, name, *_ in catalog["constraints"]}
    assert constraints == set(re.findall(r"^\s*CONSTRAINT (\w+)", SCHEMA, re.MULTILINE))
    indexes = {str(name) for _, name, *_ in catalog["indexes"]}
    assert indexes - constraints == set(re.findall(r"^CREATE (?:UNIQUE )?INDEX (\w+)", SCHEMA, re.MULTILINE))


async def test_every_table_says_what_it_is(database_url: str) -> None:
    """A comment that the database shows as well."""
    catalog = await _catalog(database_url)
    assert [name for name, _, _, _, comment in catalog["tables"] if not comment] == []


async def test_ids_compare_byte_by_byte_and_nothing_is_unique_without_its_channel(database_url: str) -> None:
    """Citus distributes by channel; the small tables are reference tables."""
    catalog = await _catalog(database_url)
    ids = {"app_key", "user_id", "device_id", "sender", "operator", "recipients", "key", "channel_key"}
    loose = [
        (t, c)
        for t, _, c, type_, _, _, collation, _ in catalog["columns"]
        if c in ids and collation not in ('"C"', "-")
    ]
    assert loose == []
    reference = {
        "schema_version",
        "apps",
        "keys",
        "tokens",
        "devices",
        "holds",
        "policies",
        "jobs",
        "media",
        "retention_runs",
        "job_steps",
        "instances",
    }
    unique = [
        (t, text) for t, _, text, _ in catalog["indexes"] if "UNIQUE" in str(text) and t not in reference
    ]
    assert [t for t, text in unique if not re.search(r"\((id|.*\bchannel_id)\b", str(text))] == []


def _in_list(constraint: str) -> set[str]:
    found = re.search(rf"CONSTRAINT {constraint} CHECK \(\w+ IN \(([^)]+)\)", SCHEMA)
    assert found is not None
    return {item.strip().strip("'") for item in found[1].split(",")}


def test_the_bits_and_numbers_of_python_are_those_of_sql() -> None:
    """The schema explains each in a comment; types are checked by a constraint as well."""
    bits = re.search(r"-- bits: (.+\n\s+-- .+)\n\s+flags ", SCHEMA)
    assert bits is not None
    words = {int(n): word for n, word in re.findall(r"(\d+) (\w+(?: carry \w+)?)", bits[1])}
    assert words == {1: "stored", 2: "echoed", 8: "silent", 16: "may carry metadata"}
    assert {value: name for name, value in vars(Flags).items() if name.isupper()} == {
        1: "PERSISTED",
        2: "ECHOED",
        8: "SILENT",
        16: "METADATA",
    }
    types = re.search(r"-- (1 direct.+)", SCHEMA)
    assert types is not None
    assert {int(n): word.upper() for n, word in re.findall(r"(\d+) (\w+)", types[1])} == {
        t.value: t.name for t in ChannelType
    }
    assert _in_list("channels_type_known") == {str(t.value) for t in ChannelType}


def test_the_states_of_the_journal_are_those_that_statements_know() -> None:
    """No statement asks for a state that cannot be, and none is never left."""
    states, jobs = _in_list("clean_requests_state_known"), _in_list("jobs_state_known")
    files = _in_list("media_state_known")
    text = "".join(block.sql for feature in FEATURES for block in blocks(feature).values())
    assert set(re.findall(r"state = '(\w+)'", text)) & files == files
    assert set(re.findall(r"state = '(\w+)'", text)) - files == states
    listed = {
        word for words in re.findall(r"state IN \(([^)]+)\)", text) for word in re.findall(r"\w+", words)
    }
    assert listed <= states
    assert set(re.findall(r"state <> '(\w+)'", text)) <= jobs


async def test_the_default_settings_of_python_are_those_of_sql(database_url: str) -> None:
    """A new app has what AppSettings says."""
    async with open_world(database_url) as world:
        assert await world.apps.settings(world.app_key) == AppSettings()


# migrate -------------------------------------------------------------------------------------------------------------


async def test_migrating_at_once_and_again_is_one_schema(empty_database_url: str, database_url: str) -> None:
    """Two processes wait for each other; a third run finds nothing to do."""
    assert await asyncio.gather(*(migrate.migrate(empty_database_url) for _ in range(2))) == [NEWEST, NEWEST]
    assert await migrate.migrate(empty_database_url) == NEWEST
    assert await _catalog(empty_database_url) == await _catalog(database_url)
    async with open_database(empty_database_url) as opened:
        await migrate.check(opened)


async def test_a_newer_database_is_left_alone_and_both_versions_are_named(database_url: str) -> None:
    """By migrate and by a process that starts."""
    await _execute(database_url, "UPDATE schema_version SET version = version + 7")
    before = await _catalog(database_url)
    sentence = rf"version {NEWEST + 7}, this code knows {NEWEST}\b"
    with pytest.raises(SchemaMismatch, match=sentence):
        await migrate.migrate(database_url)
    async with open_database(database_url) as opened:
        with pytest.raises(SchemaMismatch, match=sentence):
            await migrate.check(opened)
    assert await _catalog(database_url) == before


async def test_a_process_refuses_an_empty_database_and_makes_nothing(empty_database_url: str) -> None:
    """Only `tidemark migrate` changes the schema."""
    async with open_database(empty_database_url) as opened:
        with pytest.raises(SchemaMismatch, match=rf"version 0, this code needs {NEWEST}\b.*tidemark migrate"):
            await migrate.check(opened)
    assert (await _catalog(empty_database_url))["tables"] == []


async def test_this_month_and_the_next_two_are_made_ahead(database_url: str) -> None:
    """By the database's own clock."""
    clock = DatabaseClock()
    async with open_database(database_url) as opened:
        await opened.synchronize(clock)
        month = Month.of(clock.now())
        async with opened.reading() as connection:
            sql = "SELECT inhrelid::regclass::text AS name FROM pg_inherits WHERE inhparent = 'messages'::regclass"
            names = {row["name"] for row in await connection.fetch(sql)}
    # the template may have been made just before a month's end
    assert {month.table, month.next().table} <= names
    assert len(names) == 3


ENDS = {
    "messages": "delete_reclaimed",
    "hidden_messages": "delete_hidden",
    "conversations": "delete_left_conversations",
    "device_marks": "delete_marks_of_devices",
    "devices": "delete_unused_devices",
    "tokens": "delete_ended_tokens",
    "message_keys": "delete_lapsed_keys",
    "recalls": "delete_old_recalls",
    "clean_requests": "delete_old_requests",
    "clean_marks": "delete_marks",
    "jobs": "delete_old_jobs",
    "retention_runs": "delete_old_runs",
    "job_steps": "delete_job_step",
    "senders": "delete_senders",
    "media": "delete_media",
    "media_refs": "delete_refs",
}
"""How the rows of each table that only grows come to their end; those of files by a job of their own."""
STAYS = {"schema_version", "apps", "keys", "channels", "holds", "policies", "instances"}
"""One row; what admins make and remove; the ids of channels, which stay taken; and at most one row for each user."""


async def test_every_table_that_only_grows_has_an_end(database_url: str) -> None:
    """A statement that deletes from it, and for side tables a line in what a sweep reports."""
    tables = {str(name) for name, *_ in (await _catalog(database_url))["tables"]}
    assert tables == STAYS | set(ENDS)
    for table, name in ENDS.items():
        [feature] = [one for one in ("retention", "sweep", "jobs", "media") if name in blocks(one)]
        deleted = re.findall(r"^DELETE FROM (\w+)", blocks(feature)[name].sql, re.MULTILINE)
        assert deleted == [table]
    reported = {*SweepReport.__dataclass_fields__}
    others = {"messages", "hidden_messages", "device_marks", "senders", "job_steps", "media", "media_refs"}
    assert reported == set(ENDS) - others


# the first version with rows in it -----------------------------------------------------------------------------------

FIRST = """
INSERT INTO apps (app_key, name, secret, created_at, undo_seconds) VALUES ('app', 'old', 'x', 5, 60);
INSERT INTO keys (hash, kind, app_key, name, created_at) VALUES ('a', 'api', 'app', 'one', 5), ('b', 'admin', NULL, 'two', 5);
CREATE TABLE messages_2026_03 PARTITION OF messages FOR VALUES FROM (1772323200000000) TO (1775001600000000);
INSERT INTO channels (id, app_key, type, key, last_position, history_cutoff)
    VALUES ({id}, 'app', 1, '{ann,bob}', {noon} + 2, 3);
INSERT INTO conversations (channel_id, user_id, app_key, delivered_position, history_cutoff)
    VALUES ({id}, 'ann', 'app', 0, 0), ({id}, 'bob', 'app', {noon}, {noon});
INSERT INTO messages VALUES ({id}, {noon} - 1, 1, 'ann', 't', 'cleaned', NULL), ({id}, {noon}, 3, 'ann', 't', 'received', NULL),
    ({id}, {noon} + 2, 1, 'ann', 't', 'missed', NULL);
INSERT INTO device_marks (channel_id, user_id, device_id, position, told_cutoff) VALUES ({id}, 'bob', 'phone', {noon}, {noon});
INSERT INTO clean_requests VALUES ({id}, gen_random_uuid(), 'app', 1, '{ann,bob}', 'ann', NULL, {noon} + 1, true, 'app', NULL,
    'v4', 'accepted', 7, 8, NULL, NULL);
"""


async def test_a_database_of_the_first_version_is_taken_here_with_its_rows(empty_database_url: str) -> None:
    """Everything that it had is read as before, and everything new has its default."""
    first = migrate.migrations()[1].read_text(encoding="utf-8")
    id_ = derived_id(ChannelKey("app", ChannelType.DIRECT, ("ann", "bob")), 0)
    rows = FIRST.replace("{id}", str(id_)).replace("{noon}", str(NOON))
    await _execute(empty_database_url, first, rows)
    assert await migrate.migrate(empty_database_url) == NEWEST
    async with open_world(empty_database_url) as opened:
        world = replace(opened, app_key="app")
        assert await world.apps.settings("app") == AppSettings(undo_seconds=60)
        # known by its mark alone: that must not outlive its period
        assert [one.device_id for one in await world.delivery.devices("app", "bob")] == ["phone"]
        assert await world.history("bob", "ann") == [NOON + 2, NOON]
        assert await world.history("ann", "bob") == [], "the clean that nobody applied is in force"
        page = await world.sync("bob")
        assert (page.cleans, page.recalls) == ([], [])
        assert [(one.message.content, one.message.metadata) for one in page.messages] == [("missed", None)]
        assert [one.read_position for one in await _conversations(world)] == [0]
        keys = await world.rows(
            "SELECT id, name, read_only, last_used_at FROM keys WHERE name <> 'first' ORDER BY name"
        )
        assert [tuple(row)[1:] for row in keys] == [("one", False, None), ("two", False, None)]
        assert len({row["id"] for row in keys}) == 2
        assert (await world.apply()).applied == 1
        sent = await world.send(at=NOON + 9, echo=True)
        assert await world.history("ann", "bob") == [sent]
        await world.recall(world.channel(), NOON + 2)
        assert await world.history("bob", "ann") == [sent, NOON]


async def _conversations(world: World) -> list[ConversationView]:
    return (await world.delivery.conversations(world.app_key, "bob", cursor=None, most=9))[0]


@pytest.fixture
def write_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], object]:
    """Write one more migration than ours, in a tree of its own."""
    for path in migrate.migrations().values():
        (tmp_path / path.name).write_text(path.read_text(encoding="utf-8"), encoding="utf-8")
    monkeypatch.setattr(migrate, "MIGRATIONS", tmp_path)
    return (tmp_path / f"{NEWEST + 1:04}_next.sql").write_text


async def test_an_older_database_is_taken_step_by_step_with_its_rows(
    database_url: str, write_step: Callable[[str], object]
) -> None:
    """And afterwards a process starts on it."""
    write_step("ALTER TABLE apps ADD COLUMN color text NOT NULL DEFAULT 'blue';")
    async with open_world(database_url) as world:
        with pytest.raises(SchemaMismatch, match="run `tidemark migrate` first"):
            await migrate.check(world.database)
        assert await migrate.migrate(database_url) == NEWEST + 1
        await migrate.check(world.database)
        assert await world.value("SELECT color FROM apps") == "blue"


async def test_a_step_that_fails_changes_nothing(
    database_url: str, write_step: Callable[[str], object]
) -> None:
    """Its statements and its number come together."""
    write_step("CREATE TABLE half (n integer); SELECT 1 / 0;")
    with pytest.raises(asyncpg.DivisionByZeroError):
        await migrate.migrate(database_url)
    async with open_database(database_url) as opened, opened.reading() as connection:
        assert await connection.fetchval("SELECT version FROM schema_version") == NEWEST
        assert await connection.fetchval("SELECT to_regclass('half')") is None
