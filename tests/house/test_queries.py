"""SQL as data: every block is used, prepares against the schema, and plans as it says."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from history import database
from history.axis import DAY
from history.messages.model import Month
from history.queries import Block, blocks
from tests.factories import NOON

ROOT = Path(__file__).parents[2]
FEATURES = sorted(path.parent.name for path in ROOT.glob("history/*/queries.sql"))
PRODUCT = ("history", "server", "worker", "cli", "migrations")
UNDER_LOCKS = {
    "get_batch",
    "get_floor",
    "has_lease",
    "list_unapplied",
    "list_stands",
    "list_known_keys",
    "list_there",
    "list_runs",
    "list_channels_after",
    "lock_members",
    "list_removed",
    "list_forgettable",
    "list_outdated",
    "share_media",
    "list_media_of",
    "list_gone",
    "get_needs",
}
"""Statements that only read, but inside a writer's transaction."""


def _statements() -> Iterator[tuple[str, Block]]:
    for feature in FEATURES:
        for block in blocks(feature).values():
            if block.kind == "name":
                yield feature, block


def _bare(sql: str) -> str:
    """Without comments."""
    return "\n".join(line for line in sql.splitlines() if not line.lstrip().startswith("--"))


def _is_read(block: Block) -> bool:
    return not re.search(r"\b(INSERT|UPDATE|DELETE)\b", _bare(block.sql)) and block.name not in UNDER_LOCKS


# What stores use -----------------------------------------------------------------------------------------------------


_Function = ast.FunctionDef | ast.AsyncFunctionDef


def _functions(tree: ast.Module) -> Iterator[_Function]:
    """All functions of a module, methods too."""
    yield from (node for node in ast.walk(tree) if isinstance(node, _Function))


def _called(call: ast.Call) -> str:
    """The last part of what is called: f, store.f and self.f are f."""
    match call.func:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
    return ""


def _handed(call: ast.Call, function: _Function, name: str) -> ast.expr:
    """What a call hands over for a parameter of a function."""
    parameters = [parameter.arg for parameter in function.args.args if parameter.arg != "self"]
    for keyword in call.keywords:
        if keyword.arg == name:
            return keyword.value
    return call.args[parameters.index(name)]


def _patterns(argument: ast.expr, function: _Function, trees: list[ast.Module]) -> Iterator[str]:
    """Regular expressions for the names that an argument of `statement` can have, wherever it comes from."""
    match argument:
        case ast.Constant(value=str(name)):
            yield re.escape(name)
        case ast.JoinedStr(values=values):
            yield "".join(
                re.escape(str(v.value)) if isinstance(v, ast.Constant) else r"[a-z]+" for v in values
            )
        case ast.IfExp(body=body, orelse=orelse):
            yield from _patterns(body, function, trees)
            yield from _patterns(orelse, function, trees)
        case ast.Name(id=name) if name not in {parameter.arg for parameter in function.args.args}:
            for node in ast.walk(function):
                match node:
                    case ast.Assign(targets=[ast.Name(id=target)], value=value) if target == name:
                        yield from _patterns(value, function, trees)
        case ast.Name(id=name):
            callers = [
                (caller, call) for tree in trees for caller in _functions(tree) for call in _calls(caller)
            ]
            handing = [(caller, call) for caller, call in callers if _called(call) == function.name]
            assert handing, f"nobody calls {function.name}"
            for caller, call in handing:
                yield from _patterns(_handed(call, function, name), caller, trees)
        case _:
            raise AssertionError(f"line {argument.lineno}: what is the name of this statement?")


def _calls(function: _Function) -> Iterator[ast.Call]:
    yield from (node for node in ast.walk(function) if isinstance(node, ast.Call))


def _used(feature: str) -> set[str]:
    folder = ROOT / "history" / feature
    trees = [ast.parse(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("*.py"))]
    store = ast.parse((folder / "store.py").read_text(encoding="utf-8"))
    found: set[str] = set()
    for function in _functions(store):
        for call in _calls(function):
            if _called(call) == "statement":
                whose, name = call.args
                assert isinstance(whose, ast.Constant)
                assert whose.value == feature, "a store reads its own statements"
                patterns = set(_patterns(name, function, trees))
                assert patterns, f"{function.name}: no name found"
                found |= patterns
    return found


@pytest.mark.parametrize("feature", FEATURES)
def test_every_statement_is_used_and_every_use_is_defined(feature: str) -> None:
    """By its store, through the name it is asked for."""
    defined = {block.name for whose, block in _statements() if whose == feature}
    used = _used(feature)
    assert {name for name in defined if not any(re.fullmatch(pattern, name) for pattern in used)} == set()
    assert {pattern for pattern in used if not any(re.fullmatch(pattern, name) for name in defined)} == set()


def test_every_rule_is_included_somewhere() -> None:
    """A rule that no statement includes rules nothing."""
    text = "".join(
        (ROOT / "history" / feature / "queries.sql").read_text(encoding="utf-8") for feature in FEATURES
    )
    rules = {
        f"{feature}.{b.name}" for feature in FEATURES for b in blocks(feature).values() if b.kind == "rule"
    }
    assert rules == set(re.findall(r"\{\{([\w.]+)\}\}", text))


def test_only_stores_read_statements() -> None:
    """Services speak to stores."""
    users = {
        path.relative_to(ROOT).as_posix()
        for folder in ("history", "server", "worker", "cli")
        for path in (ROOT / folder).rglob("*.py")
        if "import statement" in path.read_text(encoding="utf-8")
    }
    assert users == {f"history/{feature}/store.py" for feature in FEATURES}


# What no SQL of ours says --------------------------------------------------------------------------------------------


def test_time_is_an_argument() -> None:
    """Postgres's clock is read in one place, to give processes their time."""
    clock = re.compile(
        r"\bnow\s*\(|current_timestamp|current_date|localtime|statement_timestamp|transaction_timestamp",
        re.IGNORECASE,
    )
    assert [b.name for _, b in _statements() if clock.search(_bare(b.sql))] == []
    assert [b.name for _, b in _statements() if "clock_timestamp" in b.sql] == ["reserve_positions"]


def test_rows_are_locked_in_one_app_only() -> None:
    """`FOR UPDATE` over several channels does not run on Citus: those are locked by an update."""
    lock = re.compile(r"\bFOR\s+(NO\s+KEY\s+UPDATE|UPDATE|SHARE|KEY\s+SHARE)\b", re.IGNORECASE)
    locking = {
        b.name: re.findall(r"\bFROM\s+(\w+)", _bare(b.sql))
        for _, b in _statements()
        if lock.search(_bare(b.sql))
    }
    # jobs and media, as apps, are tables that every node has
    assert locking == {
        "lock_app": ["apps"],
        "share_app": ["apps"],
        "share_apps": ["apps"],
        "lock_job": ["jobs"],
        "lock_members": ["conversations"],
        "lock_media": ["media"],
        "share_media": ["media"],
    }
    # of one channel
    assert "WHERE channel_id = $1 " in blocks("retention")["lock_members"].sql


def _product_text() -> Iterator[tuple[str, str]]:
    files = [
        path for folder in PRODUCT for pattern in ("*.py", "*.sql") for path in (ROOT / folder).rglob(pattern)
    ]
    for path in (*files, ROOT / "schema.sql"):
        comment = "--" if path.suffix == ".sql" else "#"
        lines = path.read_text(encoding="utf-8").splitlines()
        yield (
            path.relative_to(ROOT).as_posix(),
            "\n".join(s for s in lines if not s.lstrip().startswith(comment)),
        )


def test_one_statement_deletes_messages_and_only_below_the_grant() -> None:
    """Nothing else deletes, truncates or detaches them, and one drops a month of them."""
    delete = re.compile(r"\bDELETE\s+FROM\s+(ONLY\s+)?messages", re.IGNORECASE)
    assert [(name, len(delete.findall(text))) for name, text in _product_text() if delete.search(text)] == [
        ("history/retention/queries.sql", 1)
    ]
    sql = _bare(blocks("retention")["delete_reclaimed"].sql)
    assert delete.search(sql)
    assert (
        "position < (SELECT ch.reclaimed_to FROM channels ch WHERE ch.id = $1 AND ch.reclaim_lease = $4)"
        in sql
    )
    other = re.compile(r"\bTRUNCATE\s+(TABLE\s+)?\w|\bDETACH\s+PARTITION\b", re.IGNORECASE)
    assert [name for name, text in _product_text() if other.search(text)] == []
    drop = re.compile(r"\bDROP\s+TABLE\b", re.IGNORECASE)
    assert [(name, len(drop.findall(text))) for name, text in _product_text() if drop.search(text)] == [
        ("history/retention/store.py", 1)
    ]


def test_a_month_is_dropped_in_one_place_after_the_lock_and_the_question() -> None:
    """All channels are asked whether they need a message at or above their grant."""
    calls = [
        (name, re.findall(r"(?:store|self)\.(lock_month|get_needing|_ask|drop_month)\(([^)]*)\)", text))
        for name, text in _product_text()
        if "drop_month(" in text and not name.endswith("store.py")
    ]
    assert [name for name, _ in calls if name.startswith("history/")] == ["history/retention/months.py"]
    [(_, found)] = [call for call in calls if call[0].startswith("history/")]
    assert found[-4:] == [
        ("get_needing", "connection, month, first=first, end=end"),
        ("lock_month", "connection, month"),
        ("_ask", "connection, month, first"),
        ("drop_month", "connection, month"),
    ]
    assert "m.position >= ch.reclaimed_to" in _bare(blocks("retention")["get_needing"].sql)


def test_three_statements_change_messages_to_recall_one_or_to_edit_it() -> None:
    """What it said goes, unless it is held; a recall sets its stamp, and empties it later when it is not held any more. Who,
    where and when stay."""
    update = re.compile(r"\bUPDATE\s+(ONLY\s+)?messages\b", re.IGNORECASE)
    assert sorted(
        (name, len(update.findall(text))) for name, text in _product_text() if update.search(text)
    ) == [
        ("history/messages/queries.sql", 2),
        ("history/retention/queries.sql", 1),
        ("migrations/0003_trust.sql", 1),
    ]
    sql = " ".join(_bare(blocks("messages")["update_recalled"].sql).split())
    assert sql.startswith(
        "UPDATE messages SET recall_stamp = $3, content = CASE WHEN $4 THEN content ELSE '' END, "
        "metadata = CASE WHEN $4 THEN metadata END WHERE channel_id = $1 AND position = $2 AND recall_stamp IS NULL"
    )
    sql = " ".join(_bare(blocks("retention")["empty_recalled"].sql).split())
    assert sql.startswith("UPDATE messages m SET content = '', metadata = NULL FROM recalls r")
    assert "WHERE r.channel_id = $1 AND NOT r.emptied AND m.channel_id = r.channel_id" in sql
    not_held = f"AND NOT ({' '.join(_bare(blocks('channels')['held'].sql).split())})"
    assert not_held in sql
    sql = " ".join(_bare(blocks("messages")["update_edited"].sql).split())
    assert sql.startswith(
        "UPDATE messages m SET content = coalesce($3, m.content), metadata = coalesce($4, m.metadata), "
        "flags = CASE WHEN $4::text IS NULL THEN m.flags ELSE m.flags | 16::smallint END, edited_at = $5 FROM channels ch "
        "WHERE m.channel_id = $1 AND m.position = $2 AND m.recall_stamp IS NULL AND ch.id = m.channel_id"
    )
    assert not_held in sql


def test_the_grant_is_a_value_and_the_floor_takes_no_lock() -> None:
    """One statement that computes and locks grants away what commits meanwhile."""
    assert re.findall(r"\bSELECT\b", _bare(blocks("retention")["grant"].sql)) == []
    assert re.findall(r"\b(UPDATE|FOR)\b", _bare(blocks("retention")["get_floor"].sql)) == []
    raising = [b.name for _, b in _statements() if re.search(r"SET[^;]*\breclaimed_to\s*=", _bare(b.sql))]
    assert raising == ["grant"]


# What Postgres says --------------------------------------------------------------------------------------------------

_VALUES = {
    "text": "x",
    "boolean": True,
    "bytea": b"x",
    "uuid": "00000000-0000-7000-8000-000000000000",
    "json": "[]",
}


def _literal(type_name: str, number: int) -> str:
    """A value for the number-th argument: positions in rising order, so that no range is empty."""
    base = type_name.removesuffix("[]")
    sized = {"bigint": NOON + number * 1_000, "integer": 10, "smallint": 1}
    value = sized.get(base, _VALUES.get(base))
    text = value.hex() if isinstance(value, bytes) else str(value)
    return f"ARRAY['{text}']::{type_name}" if type_name.endswith("[]") else f"'{text}'::{type_name}"


async def _plan(connection: asyncpg.Connection, sql: str) -> dict[str, Any]:
    prepared = await connection.prepare(sql)
    arguments = []
    for number, parameter in enumerate(prepared.get_parameters(), start=1):
        name = await connection.fetchval("SELECT format_type($1, NULL)", parameter.oid)
        arguments.append(_literal(name, number))
    call = f"({', '.join(arguments)})" if arguments else ""
    await connection.execute(f"PREPARE checked AS {sql}")
    text = await connection.fetchval(f"EXPLAIN (FORMAT JSON) EXECUTE checked{call}")
    await connection.execute("DEALLOCATE checked")
    plan: dict[str, Any] = json.loads(text)[0]["Plan"]
    return plan


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for child in plan.get("Plans", ()):
        yield from _nodes(child)


def _shows(plan: dict[str, Any], index: str) -> bool:
    names = [node["Index Name"] for node in _nodes(plan) if "Index Name" in node]
    return any(name.startswith("messages_") if index == "messages" else name == index for name in names)


FILL = (Path(__file__).parent / "fill.sql").read_text(encoding="utf-8")


async def _filled(url: str, many: int) -> asyncpg.Connection:
    connection = await asyncpg.connect(url, server_settings={"jit": "off"})
    month = "CREATE TABLE messages_2026_03 PARTITION OF messages FOR VALUES FROM (1772323200000000) TO (1775001600000000)"
    # months made ahead are empty: a scan of one is no fault
    ahead = "SELECT inhrelid::regclass::text AS name FROM pg_inherits WHERE inhparent = 'messages'::regclass"
    for row in await connection.fetch(ahead):
        await connection.execute(f"DROP TABLE {row['name']}")
    await connection.execute(month)
    if many:
        await connection.execute(FILL.replace("{noon}", str(NOON)).replace("{many}", str(many)))
    await connection.execute("SET plan_cache_mode = force_generic_plan")
    return connection


async def _as(settings: Mapping[str, str], url: str, many: int) -> asyncpg.Connection:
    connection = await _filled(url, many)
    for setting, value in settings.items():
        await connection.execute(f"SET {setting} = {value}")
    return connection


def _first(plan: dict[str, Any]) -> str:
    """What the outer side of the join over the argument begins with."""
    joins = [node for node in _nodes(plan) if node["Node Type"] == "Nested Loop"]
    if not joins:
        return "no Nested Loop"
    first = joins[-1]["Plans"][0]
    # one user's conversations by these are in the order of channels as well
    if first.get("Index Name") in ("conversations_pkey", "conversations_by_user"):
        return "Function Scan" if "user_id = " in first["Index Cond"] else "conversations of many users"
    return str(first["Node Type"])


@pytest.mark.parametrize("many", [0, 10, 100_000])
async def test_writers_lock_in_the_order_of_their_keys(database_url: str, many: int) -> None:
    """On a new database, on ten channels and on 10^5: nested loops with the sorted argument outside, no hash and no merge.

    The journal's rows are not locked by these keys: whoever changes one holds its pair already.
    """
    connection = await _as(database.WRITER, database_url, many)
    wrong: list[str] = []
    for feature, block in _statements():
        if re.match("UPDATE (channels|conversations)", _bare(block.sql)) and "unnest" in block.sql:
            plan = await _plan(connection, block.sql)
            bad = {node["Node Type"] for node in _nodes(plan)} & {
                "Hash Join",
                "Merge Join",
                "Seq Scan",
                "Sort",
            }
            wrong += [f"{feature}.{block.name}: {node}" for node in bad]
            if _first(plan) != "Function Scan":
                wrong.append(f"{feature}.{block.name}: {_first(plan)} first")
    await connection.close()
    assert not wrong, "\n".join(wrong)


async def test_writers_plan_by_the_index_they_name(database_url: str) -> None:
    """With the settings of writer connections, on 10^5 channels."""
    connection = await _as(database.WRITER, database_url, 100_000)
    wrong: list[str] = []
    for feature, block in _statements():
        if block.indexes and not _is_read(block):
            plan = await _plan(connection, block.sql)
            wrong += [
                f"{feature}.{block.name}: not {index}" for index in block.indexes if not _shows(plan, index)
            ]
            wrong += [
                f"{feature}.{block.name}: scan" for node in _nodes(plan) if node["Node Type"] == "Seq Scan"
            ]
    await connection.close()
    assert not wrong, "\n".join(wrong)


async def test_readers_plan_by_the_index_they_name(database_url: str) -> None:
    """With the settings of reader connections, on 10^5 channels."""
    connection = await _as(database.READER, database_url, 100_000)
    wrong: list[str] = []
    for feature, block in _statements():
        if block.indexes and _is_read(block):
            plan = await _plan(connection, block.sql)
            wrong += [
                f"{feature}.{block.name}: not {index}" for index in block.indexes if not _shows(plan, index)
            ]
            scans = [node["Relation Name"] for node in _nodes(plan) if node["Node Type"] == "Seq Scan"]
            wrong += [f"{feature}.{block.name}: scans {name}" for name in scans]
    await connection.close()
    assert not wrong, "\n".join(wrong)


_QUIET = """UPDATE clean_requests SET state = 'settled'; UPDATE channels SET next_reclaim_at = NULL;
UPDATE conversations SET removed = false; VACUUM ANALYZE"""
_WAITING = {
    "clean_requests_unapplied": "channel_id = ",
    "clean_requests_unapplied_by_user": "user_id = ",
    "clean_requests_unsettled": "undo_until ",
    "clean_requests_live": "channel_id = ",
    "clean_requests_uncounted": "channel_id ",
    "channels_due": "next_reclaim_at ",
    "channels_due_by_app": "app_key = ",
    "conversations_removed": "channel_id = ",
}
"""What is in these indexes waits for something: in a quiet time, nothing. By what each is to be asked."""


@pytest.mark.parametrize("reads", [True, False])
async def test_no_plan_of_a_quiet_time_looks_through_all_that_waits(database_url: str, reads: bool) -> None:
    """Where nothing waits, the index of it seems the shortest way to anything. The plan is kept, and then a burst comes.

    A statement that is meant to read such an index from its beginning names it.
    """
    connection = await _filled(database_url, 10_000)
    for command in _QUIET.split(";"):
        await connection.execute(command)
    for setting, value in (database.READER if reads else database.WRITER).items():
        await connection.execute(f"SET {setting} = {value}")
    wrong: list[str] = []
    for feature, block in _statements():
        if _is_read(block) is reads:
            plan = await _plan(connection, block.sql)
            wrong += [
                f"{feature}.{block.name}: {node['Index Name']}"
                for node in _nodes(plan)
                if (name := node.get("Index Name")) in _WAITING.keys() - set(block.indexes)
                and _WAITING[name] not in node.get("Index Cond", "")
            ]
    await connection.close()
    assert not wrong, "\n".join(wrong)


async def test_a_sync_and_a_page_do_not_open_old_months(database_url: str) -> None:
    """They are taken out of the plan before it begins: by what is missed and in the window, by the range that is asked for."""
    connection = await _as(database.READER, database_url, 10)
    old = [Month.of(NOON - 365 * DAY)]
    while len(old) < 5:
        old.append(old[-1].next())
    for month in old:
        bounds = f"FROM ({month.first}) TO ({month.next().first})"
        await connection.execute(f"CREATE TABLE {month.table} PARTITION OF messages FOR VALUES {bounds}")
    for feature, block in _statements():
        if block.name in ("sync_page", "history_page"):
            tables = {node.get("Relation Name") for node in _nodes(await _plan(connection, block.sql))}
            assert "messages_2026_03" in tables
            assert not tables & {month.table for month in old}, f"{feature}.{block.name}"
    await connection.close()


async def test_every_statement_prepares_against_the_schema(database_url: str) -> None:
    """On a writer's connection; each argument is used."""
    async with database.open_database(database_url) as opened, opened.writing() as connection:
        for feature, block in _statements():
            prepared = await connection.prepare(block.sql)
            wanted = {int(number) for number in re.findall(r"\$(\d+)", _bare(block.sql))}
            assert wanted == set(range(1, len(prepared.get_parameters()) + 1)), f"{feature}.{block.name}"


def test_every_named_index_is_in_the_schema() -> None:
    """Or is the key of the partitioned table."""
    schema = (ROOT / "schema.sql").read_text(encoding="utf-8")
    for feature, block in _statements():
        for index in block.indexes:
            assert re.search(rf"(CONSTRAINT|INDEX|TABLE) {index}\b", schema), (
                f"{feature}.{block.name}: {index}"
            )
