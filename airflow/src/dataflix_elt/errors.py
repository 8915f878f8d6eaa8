"""Errors of the ELT. None carries a value of a row: what databases say about rows is left out on purpose."""


class EltError(Exception):
    """Base class of everything this package raises on purpose."""


class PermanentError(EltError):
    """Trying again changes nothing: somebody has to look."""


class TransientError(EltError):
    """A service was away or busy: a later try may succeed."""


class SettingsError(PermanentError):
    """Environment variables are missing or wrong; the message names each."""


class UnknownTableError(PermanentError):
    """A table that the ELT does not load."""


class SchemaDriftError(PermanentError):
    """The source or the warehouse no longer has the columns that the table's specification names."""


class CursorVoidError(PermanentError):
    """What was carried over so far says nothing about this source: it was restored, or is another one."""


class UnfitRowsError(PermanentError):
    """The source holds rows that the warehouse cannot: NULL in a required column, a date out of range, ..."""


class ReconciliationError(PermanentError):
    """The warehouse does not hold what the source holds; the message says in which table, and where."""


class SourceError(PermanentError):
    """Postgres refused or failed a statement."""


class SourceUnavailableError(TransientError):
    """Postgres cannot be reached, or the connection broke."""


class WarehouseError(PermanentError):
    """ClickHouse refused or failed a statement."""


class WarehouseUnavailableError(TransientError):
    """ClickHouse cannot be reached, the connection broke, or it has no room to work for the moment."""


class SupersededError(TransientError):
    """Another load of the same table was swapped in while this one ran."""


class BusyError(TransientError):
    """A load, a publication or an erasure that this one must wait for has been running for long."""


class ErasureIncompleteError(TransientError):
    """Something of a person who is to be erased is left, or may be; a later run tries again."""


class TrainerUnavailableError(TransientError):
    """The trainer cannot be reached, or does not answer as it should."""


class TrainerRefusedError(PermanentError):
    """The trainer refused the request: a wrong token, unknown parameters."""


class JobFailedError(TransientError):
    """A job of the trainer failed; a retry starts a new one, since what it needed may have been away."""


class DbtProjectError(PermanentError):
    """The dbt project is missing or cannot be parsed."""
