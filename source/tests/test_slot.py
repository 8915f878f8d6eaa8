# ruff: noqa: E501  SQL of the tests
"""A replication slot shows every change to a role that may only read; nothing is lost when it is."""

import random
import signal
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psycopg2
import pytest
from psycopg2.extensions import connection as Connection  # noqa: N812

from dataflix_source import slot
from dataflix_source.client import source_snapshot
from dataflix_source.copying import run as copying
from dataflix_source.copying.readiness import refuse_unready
from dataflix_source.errors import DatabaseError, RefusedError
from dataflix_source.looking.catalog import read_catalog
from dataflix_source.looking.check import check_source
from dataflix_source.settings import OwnSettings
from dataflix_stack.services import postgres as cluster
from dataflix_testkit import PostgresServer, free_port
from dataflix_testkit.long_mode import short_or_long
from dataflix_testkit.postgres import CLUSTER_SETTINGS
from dataflix_testkit.process import clean_environ, server_process

from .conftest import (
    LIBRARY,
    READER,
    READER_PASSWORD,
    Application,
    application,
    execute,
    fetch,
    run_copy,
    run_script,
    what_came,
    with_mode,
)
from .test_modes import DELETES, WRITES, write, wrote_nothing

REPLICATION = with_mode("replication")
PASSWORD = "admin-of-the-source"
SLOTS = "SELECT slot_name, wal_status FROM pg_replication_slots"


@pytest.fixture(scope="module")
def logical(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    """A server of the application's with wal_level = logical and, unlike ours, with the contributed plugins."""
    plugins = sorted(Path("/usr/lib/postgresql").glob("*/lib/test_decoding.so"))
    if not plugins:
        pytest.skip("no Postgres with test_decoding is installed (Debian: package postgresql)")
    programs = plugins[-1].parents[1] / "bin"
    patch = pytest.MonkeyPatch()
    patch.setattr(cluster, "binaries", lambda: programs)
    folder = tmp_path_factory.mktemp("logical")
    data, port = folder / "data", free_port()
    cluster.create_cluster(data, PASSWORD)
    # So little WAL is kept that a slot can be lost in a test.
    settings = CLUSTER_SETTINGS | {"wal_level": "logical", "min_wal_size": "32MB", "max_wal_size": "32MB"}
    # A slot shows what was flushed.
    settings |= {"synchronous_commit": "on"}
    command = cluster.server_command(data, "127.0.0.1", port, settings)
    patch.undo()
    server = PostgresServer(
        "127.0.0.1", port, "postgres", {"DATAFLIX_POSTGRES_ADMIN_PASSWORD": PASSWORD}, data
    )

    def ready() -> bool:
        try:
            psycopg2.connect(server.dsn("postgres"), connect_timeout=2).close()
        except psycopg2.OperationalError:
            return False
        return True

    with server_process(
        command, ready=ready, log=folder / "log", environ=clean_environ({}), stop_signal=signal.SIGINT
    ):
        with closing(psycopg2.connect(server.dsn("postgres"))) as admin, admin, admin.cursor() as cursor:
            cursor.execute(f"CREATE ROLE {READER} LOGIN PASSWORD '{READER_PASSWORD}'")
            cursor.execute("CREATE ROLE app_owner LOGIN PASSWORD 'owns-the-tables'")
        yield server


@pytest.fixture
def admin(logical: PostgresServer, source: Application) -> Iterator[Application]:
    """The administrator in the application's database."""
    with closing(psycopg2.connect(logical.dsn("postgres", source.name))) as connection:
        connection.autocommit = True
        yield Application(source.name, connection, source.owner, source.reader)


@pytest.fixture
def source(logical: PostgresServer) -> Iterator[Application]:
    with application(logical, sql=LIBRARY) as made:
        try:
            yield made
        finally:
            with closing(psycopg2.connect(logical.dsn("postgres", made.name))) as last:
                last.autocommit = True
                fetch(last, "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots")
                execute(last, f"ALTER ROLE {READER} NOREPLICATION")


def script(source: Application) -> str:
    with source_snapshot(source.owner) as session:
        return slot.install_script(REPLICATION, read_catalog(session), READER)


def make(admin: Application) -> None:
    """Run the script as psql does: each statement in a transaction of its own."""
    text = "\n".join(line for line in script(admin).splitlines() if not line.startswith(("\\", "--")))
    block, _, rest = text.partition("$dataflix$;")
    admin.execute(block + "$dataflix$;")
    for statement in rest.split(";\n"):
        if statement.strip():
            admin.execute(statement)


@pytest.mark.parametrize("seed", range(short_or_long(2, 300)))
def test_a_slot_shows_every_change(
    source: Application, admin: Application, own: Connection, own_settings: OwnSettings, seed: int
) -> None:
    make(admin)
    draw = random.Random(seed)
    run_copy(source.reader, own_settings, REPLICATION)
    for _ in range(short_or_long(8, 12)):
        write(source, draw, WRITES + DELETES)
        changes = run_copy(source.reader, own_settings, REPLICATION)
        came = what_came(own)
        everything = run_copy(source.reader, own_settings, REPLICATION, compare=True)
        assert wrote_nothing(everything), (changes, everything)
        assert what_came(own) == came
    # What was read is forgotten.
    assert (
        admin.fetch(
            "SELECT FROM pg_logical_slot_peek_changes('dataflix', NULL, NULL, 'skip-empty-xacts', '1')"
        )
        == []
    )


# Values that look like the form of the plugin, types with brackets, names that must be quoted.
ODD_VALUE = "x'' card[text]:''A-1'' new-tuple: card[text]:''A-1''"


def test_a_value_is_never_taken_for_a_key(
    source: Application, admin: Application, own: Connection, own_settings: OwnSettings
) -> None:
    source.execute(
        'ALTER TABLE loan ADD "table x: INSERT:" text[]; ALTER TABLE loan ADD "a""b" bit(3) DEFAULT B\'101\''
    )
    make(admin)
    run_copy(source.reader, own_settings, REPLICATION)
    source.execute(
        f"""INSERT INTO loan (card, barcode, lent, "table x: INSERT:") VALUES ('C 3', 1, '2026-05-05', ARRAY['{ODD_VALUE}'])"""
    )
    source.execute(f"INSERT INTO reader (card, full_name) VALUES ('{ODD_VALUE}', '{ODD_VALUE}')")
    with source_snapshot(source.reader) as session:
        found = slot.find(session, "dataflix")
        assert isinstance(found, slot.Slot)
        shown = slot.peek(session, found, REPLICATION, 100)
    assert shown.keys == {
        "people": [ODD_VALUE.replace("''", "'")],
        "items": [],
        "events.0": ["C 3"],
        "events.1": [],
    }
    result = run_copy(source.reader, own_settings, REPLICATION)
    assert [change.inserted for change in result.changes] == [1, 0, 1, 0]
    assert not any(change.compared for change in result.changes)


def test_rows_that_the_log_does_not_identify_are_all_read(
    source: Application, admin: Application, own: Connection, own_settings: OwnSettings
) -> None:
    make(admin)
    run_copy(source.reader, own_settings, REPLICATION)
    with source_snapshot(source.reader) as session:
        _, findings = check_source(session, source.reader, REPLICATION)
    warnings = [one.text for one in findings.all if "REPLICA IDENTITY FULL" in one.text]
    assert [text.split()[5] for text in warnings] == ["public.loan", "public.review"]
    for full in (False, True):
        if full:
            source.execute("ALTER TABLE loan REPLICA IDENTITY FULL")
            run_copy(source.reader, own_settings, REPLICATION)
        source.execute("UPDATE loan SET lent = lent + INTERVAL '1 hour' WHERE card = 'C 3'")
        people, items, loans, reviews = run_copy(source.reader, own_settings, REPLICATION).changes
        assert (loans.compared, loans.updated) == (not full, 1)
        assert (people.compared, items.compared, reviews.compared) == (False, False, False)
        # Whose event it was is in the old row alone.
        source.execute("INSERT INTO loan (card, barcode, lent) VALUES ('a-1', 1, '2026-05-05')")
        run_copy(source.reader, own_settings, REPLICATION)
        source.execute("UPDATE loan SET card = 'A-1' WHERE card = 'a-1' AND barcode = 1")
        assert run_copy(source.reader, own_settings, REPLICATION).changes[2].deleted == 1


def test_partitions_come_under_their_own_names(
    source: Application, admin: Application, own: Connection, own_settings: OwnSettings
) -> None:
    source.execute(
        "DROP TABLE loan; CREATE TABLE loan (card text, barcode bigint, lent timestamp NOT NULL, changed timestamptz)"
        ' PARTITION BY RANGE (lent); CREATE SCHEMA "Odd, one"; CREATE TABLE "Odd, one"."early: INSERT:" PARTITION'
        " OF loan FOR VALUES FROM (MINVALUE) TO ('2026-03-01');"
        "CREATE TABLE loan_late PARTITION OF loan FOR VALUES FROM ('2026-03-01') TO (MAXVALUE)"
    )
    make(admin)
    run_copy(source.reader, own_settings, REPLICATION)
    for statement in (
        "INSERT INTO loan VALUES ('A-1', 1, '2026-01-01'), ('A-1', 3, '2026-04-01')",
        "INSERT INTO loan_late VALUES ('C 3', 4, '2026-05-01')",
        "UPDATE loan SET lent = '2026-01-05' WHERE card = 'C 3'",
        'DELETE FROM "Odd, one"."early: INSERT:" WHERE barcode = 1',
        'TRUNCATE reader, "Odd, one"."early: INSERT:" CASCADE',
    ):
        source.execute(statement)
        assert not wrote_nothing(run_copy(source.reader, own_settings, REPLICATION)), statement
        assert wrote_nothing(run_copy(source.reader, own_settings, REPLICATION, compare=True)), statement


def test_nothing_is_lost_between_the_copy_and_its_confirmation(
    source: Application,
    admin: Application,
    own: Connection,
    own_settings: OwnSettings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    make(admin)
    run_copy(source.reader, own_settings, REPLICATION)
    source.execute("DELETE FROM review WHERE card = 'A-1'")
    confirmed = "SELECT confirmed_flush_lsn FROM pg_replication_slots"
    before = admin.fetch(confirmed)

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    def away(*_: object) -> None:
        raise DatabaseError("is away")

    # After our commit.
    with monkeypatch.context() as patch:
        patch.setattr(copying, "confirm", killed)
        with pytest.raises(KeyboardInterrupt):
            run_copy(source.reader, own_settings, REPLICATION)
    # Before our commit.
    source.execute("DELETE FROM review")
    with monkeypatch.context() as patch:
        patch.setattr(copying, "write_states", killed)
        with pytest.raises(KeyboardInterrupt):
            run_copy(source.reader, own_settings, REPLICATION)
    assert admin.fetch(confirmed) == before
    # The first deletion is shown once more and changes nothing; the second one was rolled back here.
    *_, reviews = run_copy(source.reader, own_settings, REPLICATION).changes
    assert (reviews.deleted, len([row for row in what_came(own) if row[0] == "rating"])) == (1, 0)
    assert admin.fetch(confirmed) != before
    # The copy cannot confirm the slot: the result says so, and the next copy confirms it.
    source.execute("DELETE FROM loan WHERE card = 'C 3'")
    with monkeypatch.context() as patch:
        patch.setattr(copying, "source_writer", away)
        result = run_copy(source.reader, own_settings, REPLICATION)
    assert (result.kept_notes, result.changes[2].deleted) == ("is away", 1)
    assert run_copy(source.reader, own_settings, REPLICATION).kept_notes is None


def test_what_commits_late_waits_in_the_slot(
    source: Application, admin: Application, own: Connection, own_settings: OwnSettings
) -> None:
    """A snapshot that is older than a commit in the slot neither shows that change nor lets it be forgotten."""
    make(admin)
    run_copy(source.reader, own_settings, REPLICATION)
    with source_snapshot(source.reader) as session:
        found = slot.find(session, "dataflix")
        assert isinstance(found, slot.Slot)
        session.value("SELECT 1")
        source.execute("INSERT INTO loan (card, barcode, lent) VALUES ('C 3', 1, '2026-05-05')")
        source.execute("INSERT INTO loan (card, barcode, lent) VALUES ('A-1', 3, '2026-05-06')")
        shown = slot.peek(session, found, REPLICATION, 100)
        assert shown.keys["events.0"] == []
        assert shown.read_to == found.confirmed
    assert run_copy(source.reader, own_settings, REPLICATION).changes[2].inserted == 2


def test_a_slot_that_is_made_again_or_read_by_others_has_gaps(
    source: Application, admin: Application, own: Connection, own_settings: OwnSettings
) -> None:
    make(admin)
    run_copy(source.reader, own_settings, REPLICATION)
    for gap in (
        "SELECT count(*) FROM pg_logical_slot_get_changes('dataflix', NULL, NULL)",
        "SELECT pg_drop_replication_slot('dataflix')",
    ):
        source.execute("DELETE FROM review WHERE ctid = (SELECT min(ctid) FROM review)")
        admin.execute(gap)
        make(admin)
        result = run_copy(source.reader, own_settings, REPLICATION)
        assert all(change.compared for change in result.changes), gap
        assert result.changes[3].deleted == 1
        assert not any(
            change.compared for change in run_copy(source.reader, own_settings, REPLICATION).changes
        )


def test_a_lost_slot_is_named_and_everything_compared(
    source: Application, admin: Application, own: Connection, own_settings: OwnSettings
) -> None:
    make(admin)
    result = run_copy(source.reader, own_settings, REPLICATION)
    assert "from replication slot dataflix (WAL reserved, " in result.guarantee
    admin.execute("ALTER SYSTEM SET max_slot_wal_keep_size = '1MB'")
    admin.execute("SELECT pg_reload_conf()")
    try:
        source.execute("DELETE FROM review WHERE card = 'A-1'")
        for _ in range(4):
            admin.execute("SELECT pg_switch_wal(), pg_logical_emit_message(true, 'x', 'x')")
        admin.execute("CHECKPOINT")
        assert admin.fetch(SLOTS) == [("dataflix", "lost")]
        for deleted in (1, 0):
            result = run_copy(source.reader, own_settings, REPLICATION)
            assert all(change.compared for change in result.changes)
            assert result.changes[3].deleted == deleted
            assert "because replication slot dataflix is lost: the source removed WAL" in result.guarantee
            assert "`./run.sh source script`" in result.guarantee
        assert fetch(own, "SELECT DISTINCT guarantee FROM source.copies") == [(result.guarantee,)]
        with pytest.raises(
            RefusedError, match=r"slot, and replication slot dataflix is lost.*run\.sh source script"
        ):
            refuse_unready(source.reader, REPLICATION)
    finally:
        admin.execute("ALTER SYSTEM RESET max_slot_wal_keep_size")
        admin.execute("SELECT pg_reload_conf()")
    # The way out that the message names.
    source.execute("DELETE FROM review")
    make(admin)
    result = run_copy(source.reader, own_settings, REPLICATION)
    assert (result.changes[3].compared, result.changes[3].deleted) == (True, 1)
    assert not any(change.compared for change in run_copy(source.reader, own_settings, REPLICATION).changes)


def test_what_is_missing_is_named_before_the_first_copy(
    source: Application,
    admin: Application,
    own: Connection,
    own_settings: OwnSettings,
    server: PostgresServer,
) -> None:
    source.execute(f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {READER}")
    with pytest.raises(
        RefusedError, match=r"the source has no replication slot dataflix\. .*run\.sh source script"
    ):
        refuse_unready(source.reader, REPLICATION)
    make(admin)
    admin.execute(f"ALTER ROLE {READER} NOREPLICATION")
    with pytest.raises(RefusedError, match=r"may not read replication slot dataflix: .* REPLICATION"):
        refuse_unready(source.reader, REPLICATION)
    with pytest.raises(DatabaseError, match="refused"):
        run_copy(source.reader, own_settings, REPLICATION)
    make(admin)
    refuse_unready(source.reader, REPLICATION)
    source.execute("ALTER TABLE copy SET UNLOGGED")
    with pytest.raises(RefusedError, match=r"events\.0\.table: public\.copy is unlogged"):
        refuse_unready(source.reader, REPLICATION)
    # Our own server has wal_level = replica.
    with (
        application(server, sql=LIBRARY) as other,
        pytest.raises(psycopg2.Error, match="wal_level is replica"),
    ):
        run_script(other, script(other).partition("$dataflix$;")[0] + "$dataflix$;")


def test_the_slot_goes_with_what_takes_everything_away(source: Application, admin: Application) -> None:
    from dataflix_source.capture import removal_script

    make(admin)
    run_script(admin, removal_script(REPLICATION).partition("COMMIT;")[2])
    assert admin.fetch(SLOTS) == []
    # Without one, nobody needs a right on slots.
    run_script(source, removal_script(REPLICATION))
