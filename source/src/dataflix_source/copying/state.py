"""What our own Postgres knows of earlier copies."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from dataflix_source.client import LOCK_TIMEOUT, Session
from dataflix_source.copying.identity import Identity
from dataflix_source.description.model import Words
from dataflix_source.errors import BusyError, RefusedError
from dataflix_source.slot import lsn


@dataclass(frozen=True, slots=True)
class CopyState:
    """How far an entity was copied; see the comments of table source.copies."""

    entity: str
    source_name: str
    identity: Identity
    timeline: int | None
    mode: str
    guarantee: str
    installation_id: str | None
    description_hash: str
    read_from: int
    read_at: datetime
    compared_at: datetime
    rows_count: int
    left_out_count: int
    slot_lsn: int | None


_COLUMNS = (
    "entity, source_name, system_identifier, database_oid, database_name, timeline, mode, guarantee,"
    " installation_id,"
    " description_hash, read_from, read_at, compared_at, rows_count, left_out_count, slot_lsn"
)


def lock(session: Session, *, wait: bool = False) -> None:
    """Keep other copies away until the transaction ends.

    Args:
        session: our own Postgres.
        wait: let another copy end first.

    Raises:
        BusyError: another copy is running.
    """
    key = "hashtextextended('dataflix_source.copy', 0)"
    if wait:
        session.execute("SET lock_timeout = 0")
        session.execute(f"SELECT pg_advisory_xact_lock({key})")
        session.execute(f"SET lock_timeout = '{LOCK_TIMEOUT}'")
    elif not session.value(f"SELECT pg_try_advisory_xact_lock({key})"):
        raise BusyError("Another copy is running. Wait until it has ended.")


def read_states(session: Session) -> dict[str, CopyState]:
    """Return the states of all entities."""
    rows = session.rows(
        "SELECT entity, source_name, system_identifier, database_oid, database_name, timeline, mode,"
        " guarantee,"
        " installation_id::text, description_hash, read_from::text::bigint, read_at, compared_at, rows_count,"
        " left_out_count, (slot_lsn - '0/0')::bigint FROM source.copies ORDER BY entity"
    )
    return {row[0]: CopyState(row[0], row[1], Identity(row[2], row[3], row[4]), *row[5:]) for row in rows}


def write_states(session: Session, states: Iterable[CopyState]) -> None:
    """Replace the states by these."""
    session.execute("DELETE FROM source.copies")
    for state in states:
        session.execute(
            f"INSERT INTO source.copies ({_COLUMNS})"
            " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s::text::xid8, %s, %s, %s, %s, %s::pg_lsn)",
            (
                state.entity,
                state.source_name,
                state.identity.system_identifier,
                state.identity.database_oid,
                state.identity.database_name,
                state.timeline,
                state.mode,
                state.guarantee,
                state.installation_id,
                state.description_hash,
                str(state.read_from),
                state.read_at,
                state.compared_at,
                state.rows_count,
                state.left_out_count,
                None if state.slot_lsn is None else lsn(state.slot_lsn),
            ),
        )


def write_description(session: Session, words: Words, *, item_id_type: str, person_id_type: str) -> None:
    """Store what the API has to know of the description."""
    columns = "item, items, person, people, item_id_type, person_id_type"
    session.execute(
        f"INSERT INTO source.description AS d ({columns}) VALUES (%s, %s, %s, %s, %s, %s)"
        f" ON CONFLICT (is_only_row) DO UPDATE SET ({columns}) = ROW (excluded.item, excluded.items,"
        " excluded.person, excluded.people, excluded.item_id_type, excluded.person_id_type)",
        (words.item, words.items, words.person, words.people, item_id_type, person_id_type),
    )


def refuse_other_source(states: dict[str, CopyState], identity: Identity, *, accept: bool) -> None:
    """Raise if what is here comes from another database.

    Raises:
        RefusedError: it does, and `accept` is false.
    """
    for state in states.values():
        if state.identity != identity and not accept:
            raise RefusedError(
                f"Our copy comes from {state.identity}; this is {identity}. Nothing was changed. If the"
                " application's database has moved, `./run.sh pipeline --accept-source` compares everything"
                " and takes the new one over. For another application, start with another DATAFLIX_HOME and"
                " DATAFLIX_ENV_FILE."
            )


def refuse_other_people(session: Session, states: dict[str, CopyState]) -> None:
    """Raise if there are people or items here that no source brought, before the first copy.

    Raises:
        RefusedError: there are.
    """
    if states:
        return
    users, movies = session.row("SELECT (SELECT count(*) FROM users), (SELECT count(*) FROM movies)")
    if users or movies:
        raise RefusedError(
            f"Our own Postgres already has {users:,} user(s) and {movies:,} movie(s) that are not the"
            f" source's, such as the "
            "sample's. They would stand in the same lists. Start with an empty database of ours: ./run.sh"
            " --data none."
        )
