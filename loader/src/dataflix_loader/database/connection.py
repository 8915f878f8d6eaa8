"""The connection that loads data: one transaction as the owner of the tables."""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg2
from psycopg2 import errors
from psycopg2.extensions import connection as Connection  # noqa: N812  psycopg2's own name is lower case

from dataflix_loader.errors import ConflictError, DatabaseError
from dataflix_loader.settings import Settings

# The owner may drop and rebuild indexes and keys, which makes a load of millions of rows several times
# faster. It is not a superuser.
OWNER = "dataflix_owner"

# A load needs the tables for itself for a moment. It must not wait without end for a reader.
LOCK_TIMEOUT = "60s"

# The server's memory for one sort or hash and for one index build. Its defaults suit many small clients.
WORK_MEM = "64MB"
MAINTENANCE_WORK_MEM = "256MB"


@contextmanager
def transaction(settings: Settings) -> Iterator[Connection]:
    """Yield a connection. Its work is committed when the block ends without an error, else rolled back.

    Raises:
        DatabaseError: the server can't be reached, has no tables yet, or another session locks them.
        ConflictError: the data violate a constraint of the tables.
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
            f"({error.diag.message_primary}). postgres/init/*.sql creates them."
        ) from error
    except errors.LockNotAvailable as error:
        raise DatabaseError(
            f"Another session locked the tables for more than {LOCK_TIMEOUT}. Try again when it has ended."
        ) from error
    except errors.IntegrityError as error:
        raise ConflictError(
            f"The data violate the constraint {error.diag.constraint_name} of table {error.diag.table_name}."
        ) from error
    except psycopg2.Error as error:
        message = error.diag.message_primary or str(error).strip() or "the connection was lost"
        raise DatabaseError(f"Postgres failed: {message}") from error
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
            application_name="dataflix-loader",
        )
    except psycopg2.OperationalError as error:
        raise DatabaseError(
            f"Postgres at {settings.host}:{settings.port} can't be used: {str(error).strip()}. "
            "Is it running (./run.sh status)? DATAFLIX_POSTGRES_HOST and DATAFLIX_POSTGRES_PORT say where."
        ) from error
