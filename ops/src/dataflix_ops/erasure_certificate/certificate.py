"""Issues a certificate: reads the record, retrains twice, compares, and says what was seen."""

import importlib.metadata
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from psycopg2.extensions import connection as Connection  # noqa: N812  psycopg2's own name is lower case

from dataflix_ops.erasure_certificate import record, warehouses
from dataflix_ops.erasure_certificate.errors import CertificateError
from dataflix_ops.erasure_certificate.record import ErasureRecord
from dataflix_ops.erasure_certificate.retraining import require_same_bytes, retrain
from dataflix_ops.erasure_certificate.warehouses import Fill, Warehouse, copy_rows, reference_warehouse

FORM = "Dataflix certificate of an erasure, form 1"

Say = Callable[[str], None]


def issue(
    erasure_id: int,
    connection: Connection,
    warehouse: Warehouse,
    say: Say,
    *,
    folder: Path,
    fill: Fill | None = None,
    training_options: Sequence[str] = (),
) -> dict[str, Any]:
    """Return what a certificate says about an erasure. It names nobody.

    Args:
        erasure_id: its number.
        connection: to the application's database, as the role postgres.
        warehouse: the warehouse.
        say: called with a line for each step.
        folder: for the files of the second warehouse while this runs.
        fill: adds rows to that warehouse; by default the present ones of the warehouse.
        training_options: of `trainer fingerprint`.

    Raises:
        CertificateError: the erasure is not verified, the warehouse holds users that Postgres does not
            know, or its model differs from that of a warehouse that never saw them.
    """
    erasure = record.read(connection, erasure_id)
    client = warehouse.client()
    before = warehouses.raw_state(client)
    unknown = record.unknown_users(connection, warehouses.user_ids(client))
    if unknown:
        raise CertificateError(
            f"The warehouse holds {unknown} users who are not in Postgres. Run ./run.sh pipeline and try "
            "again."
        )
    say("training on the warehouse")
    present = retrain(warehouse, training_options)
    say("training on a new warehouse that holds its present rows alone")
    with reference_warehouse(fill or partial(copy_rows, client), folder) as reference:
        of_reference = retrain(reference, training_options)
    # What it says of this moment must still be so: trainings take minutes.
    if warehouses.raw_state(client) != before:
        raise CertificateError("The pipeline wrote to the warehouse meanwhile. Try again when it is done.")
    require_same_bytes(present, of_reference)
    if record.read(connection, erasure_id) != erasure or record.unknown_users(
        connection, warehouses.user_ids(client)
    ):
        raise CertificateError("Somebody was erased meanwhile. First: ./run.sh pipeline")
    return _text(erasure, present, record.version(connection), warehouses.version(client))


def summary(certificate: dict[str, Any]) -> str:
    """Return what a signed certificate says, in a few words.

    Raises:
        CertificateError: it is of another form than those of this version.
    """
    if certificate.get("form") != FORM:
        raise CertificateError(
            "The signature is valid, but the certificate is of a form that this version of Dataflix does not "
            f"know. It knows: {FORM}."
        )
    erasure = certificate["erasure"]
    searched = certificate["searched"]
    files = (
        f"{searched['files_for_the_pseudonyms']} files were searched"
        if searched["files_were_searched"]
        else "no file was searched"
    )
    return (
        f"erasure {erasure['number']} of {erasure['requested_at']}, verified {erasure['verified_at']}, when "
        f"{files}; issued {certificate['issued_at']}"
    )


def _text(
    erasure: ErasureRecord, training: dict[str, Any], postgres_version: str, clickhouse_version: str
) -> dict[str, Any]:
    searched = erasure.scanned_bytes_count is not None
    return {
        "form": FORM,
        "issued_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "erasure": {
            "number": erasure.erasure_id,
            "requested_at": _time(erasure.requested_at),
            "verified_at": _time(erasure.verified_at),
        },
        "removed": {"rows_of_all_erasures_of_that_run": erasure.warehouse_rows_count},
        "searched": {
            "tables_for_the_number_of_the_user": erasure.searched_tables,
            "files_for_the_pseudonyms": erasure.scanned_files_count,
            "bytes_unpacked": erasure.scanned_bytes_count,
            "files_were_searched": searched,
        },
        "now": {
            "users_in_the_warehouse_who_are_not_in_postgres": 0,
            "retrained_without_the_person": {
                name: training[name]
                for name in (
                    *("dataset_sha256", "artifact_sha256", "files"),
                    *("users", "items", "interactions", "factors", "iterations", "threads"),
                )
            },
            "same_bytes_as_from_a_warehouse_that_never_saw_the_person": True,
        },
        "versions": {
            **training["versions"],
            "dataflix-ops": importlib.metadata.version("dataflix-ops"),
            "clickhouse": clickhouse_version,
            "postgres": postgres_version,
        },
    }


def _time(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="seconds")
