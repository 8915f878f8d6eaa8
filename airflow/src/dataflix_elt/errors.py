"""Errors of the ELT. None shows a value of a row: texts of databases about rows are left out on purpose."""


class EltError(Exception):
    """Base class of everything that this package raises on purpose."""


class PermanentError(EltError):
    """A retry changes nothing: a person has to look."""


class TransientError(EltError):
    """A service was down or busy: a later try may succeed."""


class SettingsError(PermanentError):
    """Environment variables are missing or wrong; the message names each one."""


class UnknownTableError(PermanentError):
    """The ELT loads no table of this name."""


class SchemaDriftError(PermanentError):
    """The source or the warehouse no longer has the columns that the table's definition names."""


class CursorInvalidError(PermanentError):
    """The cursor does not fit this source, which was restored or is another one."""


class OtherSourceError(PermanentError):
    """The warehouse holds the rows of another database."""


class InvalidRowsError(PermanentError):
    """The source has rows that the warehouse cannot hold: NULL where a value is required, a late date, ..."""


class ReconciliationError(PermanentError):
    """The warehouse does not hold what the source holds; the message says in which table, and where."""


class SourceError(PermanentError):
    """Postgres refused a statement, or the statement failed."""


class SourceUnavailableError(TransientError):
    """Postgres cannot be reached, or the connection broke."""


class WarehouseError(PermanentError):
    """ClickHouse refused a statement, or the statement failed."""


class WarehouseUnavailableError(TransientError):
    """ClickHouse cannot be reached, the connection broke, or it is out of resources for the moment."""


class SupersededError(TransientError):
    """Another load of the same table finished while this one ran."""


class BusyError(TransientError):
    """The load, publication or erasure that this one waits for takes too long."""


class LockTimeoutError(BusyError):
    """Postgres did not grant a lock in time."""


class ErasureIncompleteError(TransientError):
    """Something of a deleted user is left, or may be; a later run tries again."""


class TrainerUnavailableError(TransientError):
    """The trainer cannot be reached, or does not answer as it should."""


class TrainerRefusedError(PermanentError):
    """The trainer refused the request: a wrong token, unknown parameters."""


class JobFailedError(TransientError):
    """A job of the trainer failed. A retry starts a new one: a service it needs may have been down."""


class DbtProjectError(PermanentError):
    """The dbt project is missing or cannot be parsed."""
