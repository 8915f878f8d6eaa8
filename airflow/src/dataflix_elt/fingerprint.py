"""How much there is of a table, in two numbers that Postgres and ClickHouse compute alike."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """Number of rows, and a checksum that does not depend on their order.

    The checksum is the sum of one hash per row: the first 8 bytes of an MD5, read as a signed big-endian
    integer. Sums of disjoint sets of rows add up, so fingerprints can be added and subtracted.

    There are two kinds, and only those of one kind can be compared. A *content* fingerprint hashes all
    columns of a row. A *key* fingerprint hashes the key and the transaction that wrote the row, as the
    source's ledger does.

    Attributes:
        rows: number of rows.
        checksum: sum of the hashes; exact, it never wraps around.
    """

    rows: int
    checksum: int

    def __add__(self, other: "Fingerprint") -> "Fingerprint":
        return Fingerprint(self.rows + other.rows, self.checksum + other.checksum)

    def __sub__(self, other: "Fingerprint") -> "Fingerprint":
        return Fingerprint(self.rows - other.rows, self.checksum - other.checksum)
