"""Reconciliation: does the warehouse hold what the source holds?"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from dataflix_elt.errors import ReconciliationError
from dataflix_elt.fingerprint import Fingerprint
from dataflix_elt.loading.differences import find_differences
from dataflix_elt.source.snapshot import Snapshot
from dataflix_elt.tables import Table
from dataflix_elt.warehouse.warehouse import Warehouse

# A table of this size is compared column by column in half a second, so every load does it.
_ALWAYS_COMPARED_ROWS = 100_000
# Larger tables are compared column by column once a day: by the nightly run, which may begin early.
_COMPARED_EVERY = timedelta(hours=20)


class Verify(StrEnum):
    """How much of a table an incremental load compares at its end.

    Attributes:
        AUTO: content of small tables, and of all tables once a day; otherwise keys.
        KEYS: number of rows, and each row's key with the transaction that wrote it, against the source's
            ledger. The cost for the source follows the number of changes. Changes that the source's triggers
            missed stay hidden.
        CONTENT: all columns of all rows.
    """

    AUTO = "auto"
    KEYS = "keys"
    CONTENT = "content"


@dataclass(frozen=True, slots=True)
class Comparison:
    """The outcome of a comparison of a table's two sides.

    Attributes:
        compared: "content" or "keys": the kind of the fingerprints.
        source: fingerprint of the source.
        source_keys: number of different keys in the source.
        warehouse: fingerprint of the warehouse.
        warehouse_keys: number of different keys in the warehouse.
        examples: where the sides differ, as text for people.
    """

    compared: str
    source: Fingerprint
    source_keys: int
    warehouse: Fingerprint
    warehouse_keys: int
    examples: tuple[str, ...] = ()

    @property
    def matches(self) -> bool:
        """Whether both sides are equal."""
        return (self.source, self.source_keys) == (self.warehouse, self.warehouse_keys)


def compare_content(
    source: Snapshot, table: Table, expected: Fingerprint, found: Fingerprint, found_keys: int
) -> Comparison:
    """Compare all columns of all rows, given the content fingerprints of both sides.

    If hashes of whole rows add up to the same sum, the keys are the same, too. So the warehouse, whose rows
    are sorted by key, counts the keys for both sides. Only if something differs does the source count its
    own, so that the error says what is wrong.
    """
    is_equal = expected == found and found_keys == found.rows
    source_keys = found_keys if is_equal else source.distinct_keys(table)
    return Comparison("content", expected, source_keys, found, found_keys)


def compare_incremental(
    source: Snapshot,
    target: Warehouse,
    table: Table,
    *,
    expected: Fingerprint,
    found: Fingerprint,
    with_content: bool,
) -> Comparison:
    """Compare a table after an incremental load.

    Args:
        source: one side.
        target: the other side.
        table: what to compare.
        expected: key fingerprint that the warehouse must have according to the source's ledger.
        found: key fingerprint of the warehouse.
        with_content: compare all columns of all rows.

    Returns:
        The comparison, with examples if rows differ. If all rows are equal and only the ledger is wrong, it
        matches.
    """
    if with_content:
        keys = target.distinct_keys(table)
        comparison = compare_content(
            source, table, source.fingerprint(table), target.fingerprint(table), keys
        )
    else:
        # A reader of the raw table, and the key in the source, see each key once.
        comparison = Comparison("keys", expected, expected.rows, found, found.rows)
    if comparison.matches:
        return comparison
    examples = find_differences(source, target, table, max(expected.rows, found.rows))
    if examples:
        return replace(comparison, examples=tuple(examples))
    return replace(
        comparison, compared="content", source=comparison.warehouse, source_keys=comparison.warehouse_keys
    )


def is_content_due(verify: Verify, rows: int, now: datetime, compared_at: datetime) -> bool:
    """Return whether an incremental load compares content.

    Args:
        verify: what was asked for.
        rows: of the table.
        now: when the load began.
        compared_at: when content was compared last.
    """
    # If the clock was set back, the age is negative.
    is_old = not timedelta(0) <= now - compared_at < _COMPARED_EVERY
    return verify is Verify.CONTENT or (verify is Verify.AUTO and (rows <= _ALWAYS_COMPARED_ROWS or is_old))


def require_unique_keys(table: Table, rows: int, keys: int) -> None:
    """Check the source's keys.

    Raises:
        ReconciliationError: a key repeats.
    """
    if keys != rows:
        raise ReconciliationError(
            f"{table.source} has {rows} rows but only {keys} different keys ({', '.join(table.key)}). "
            "The warehouse keeps one row per key: make the view's key unique."
        )


def require_equal(table: Table, comparison: Comparison, outcome: str) -> None:
    """Check that the warehouse holds what the source's snapshot held.

    Args:
        table: what was compared.
        comparison: of its two sides.
        outcome: end of the message: what happened to the load.

    Raises:
        ReconciliationError: the sides differ; the message says in what.
    """
    if comparison.matches:
        return
    differences = [
        f"{what}: source {expected}, loaded {found}"
        for what, expected, found in (
            ("rows", comparison.source.rows, comparison.warehouse.rows),
            ("distinct keys", comparison.source_keys, comparison.warehouse_keys),
            ("checksum", comparison.source.checksum, comparison.warehouse.checksum),
        )
        if expected != found
    ]
    text = ". ".join((*comparison.examples, outcome))
    raise ReconciliationError(
        f"{table.source} and what was loaded of it differ ({'; '.join(differences)}). {text}"
    )
