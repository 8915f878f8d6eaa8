"""The connection that loads data: one transaction, as the tables' owner."""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg2
from psycopg2 import errors
from psycopg2.extensions import connection as Connection  # noqa: N812  psycopg2's own name is lower case

from dataflix_loader.errors import ConflictError, DatabaseError
from dataflix_loader.settings import Settings

# The owner may build indexes and keys anew, which makes a load of millions of rows several times faster;
# it is no superuser.
OWNER = "dataflix_owner"

# A load wants the tables for itself for a moment: rather say so than wait for ever behind a reader.
LOCK_TIMEOUT = "60s"

# The server's memory for one sort or hash and for one index build; its defaults are for many small clients.
WORK_MEM = "64MB"
MAINTENANCE_WORK_MEM = "256MB"


@contextmanager
def transaction(settings: Settings) -> Iterator[Connection]:
    """Give a connection whose work is committed when the block ends well, and undone otherwise.

    Raises:
        DatabaseError: the server can't be reached, has no tables yet, or somebody else holds them.
        ConflictError: the data break a rule of the tables.
    """
    connection = _connect(settings)
    try:
        with connection.cursor() as cursor:
            cursor.execute(f"SET ROLE {OWNER}")
            cursor.execute("SET search_path = public")
            cursor.execute(f"SET lock_timeout = '{LOCK_TIMEOUT}'")
            cursor.execute(f"SET work_mem = '{WORK_MEM}'")
            cursor.execute(f"SET maintenance_work_mem = '{MAINTENANCE_WORK_MEM}'")
            cursor.execute("SET client_encoding = 'UTF8'")
        yield connection
        connection.commit()
    except (errors.UndefinedObject, errors.UndefinedTable) as error:
        raise DatabaseError(
            f"Database {settings.dbname} on {settings.host}:{settings.port} lacks Dataflix's tables or roles "
            f"({error.diag.message_primary}). postgres/init/*.sql makes them."
        ) from error
    except errors.LockNotAvailable as error:
        raise DatabaseError(
            f"Somebody else used the tables for more than {LOCK_TIMEOUT}. Try again when that is done."
        ) from error
    except errors.IntegrityError as error:
        raise ConflictError(
            f"The data break the rule {error.diag.constraint_name} of table {error.diag.table_name}."
        ) from error
    except psycopg2.Error as error:
        message = error.diag.message_primary or str(error).strip() or "the connection was lost"
        raise DatabaseError(f"Postgres gave up: {message}") from error
    finally:
        connection.close()


def _connect(settings: Settings) -> Connection:
    try:
        return psycopg2.connect(
            host=settings.host,
            port=settings.port,
            dbname=settings.dbname,
            user="postgres",
            password=settings.admin_password,
            connect_timeout=10,
            application_name="dataflix-dataload",
        )
    except psycopg2.OperationalError as error:
        raise DatabaseError(
            f"Postgres at {settings.host}:{settings.port} can't be used: {str(error).strip()}. "
            "Is it running (./run.sh status)? DATAFLIX_POSTGRES_HOST and DATAFLIX_POSTGRES_PORT say where."
        ) from error
