"""What Postgres says about an erasure, and which users it knows."""

from dataclasses import dataclass
from datetime import datetime

from psycopg2.extensions import connection as Connection  # noqa: N812  psycopg2's own name is lower case

from dataflix_ops.erasure_certificate.errors import CertificateError

_MAX_BIGINT = 2**63 - 1
_RECORD = """
SELECT
    erasure_id, requested_at, verified_at, warehouse_rows_count, scanned_bytes_count, scanned_files_count,
    searched_tables
FROM public.erasures
WHERE erasure_id = %s
"""


@dataclass(frozen=True, slots=True)
class ErasureRecord:
    """A verified erasure; the names are those of the table's columns."""

    erasure_id: int
    requested_at: datetime
    verified_at: datetime
    warehouse_rows_count: int | None
    scanned_bytes_count: int | None
    scanned_files_count: int | None
    searched_tables: list[str] | None


def read(connection: Connection, erasure_id: int) -> ErasureRecord:
    """Return a verified erasure.

    Raises:
        CertificateError: there is none of this number, or it or another one still has to be verified.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM public.erasures WHERE verified_at IS NULL")
        ((pending,),) = cursor.fetchall()
        cursor.execute(_RECORD, (min(erasure_id, _MAX_BIGINT),))
        row = cursor.fetchone()
    if row is None:
        raise CertificateError(f"There is no erasure {erasure_id}. `dataflix user erase` prints its number.")
    if row[2] is None:
        raise CertificateError(
            f"Erasure {erasure_id} is not verified yet. The pipeline does that: ./run.sh pipeline"
        )
    if pending:
        others = "One other erasure is" if pending == 1 else f"{pending} other erasures are"
        raise CertificateError(
            f"{others} not verified yet, so the warehouse holds people who are no longer in Postgres. First: "
            "./run.sh pipeline"
        )
    return ErasureRecord(*row)


def unknown_users(connection: Connection, user_ids: set[int]) -> int:
    """Return how many of these are no user's id in Postgres."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM unnest(%s::bigint[]) AS loaded (user_id)"
            " WHERE NOT EXISTS (SELECT FROM public.users AS u WHERE u.user_id = loaded.user_id)",
            (sorted(user_ids),),
        )
        ((count,),) = cursor.fetchall()
    return int(count)


def version(connection: Connection) -> str:
    """Return the server's version."""
    with connection.cursor() as cursor:
        cursor.execute("SHOW server_version")
        ((text,),) = cursor.fetchall()
    return str(text)
