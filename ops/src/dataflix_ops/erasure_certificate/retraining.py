"""Trains on the warehouse and on one that never saw the person, and compares every byte."""

import json
import subprocess
from collections.abc import Sequence
from typing import Any

from dataflix_ops.erasure_certificate.errors import CertificateError
from dataflix_ops.erasure_certificate.warehouses import Warehouse
from dataflix_stack.paths import ROOT


def retrain(warehouse: Warehouse, options: Sequence[str]) -> dict[str, Any]:
    """Train on a warehouse, register nothing, and return what `trainer fingerprint` says.

    Args:
        warehouse: what to train on.
        options: of that command.

    Raises:
        CertificateError: it failed.
    """
    trainer = ROOT / ".venv" / "bin" / "trainer"
    result = subprocess.run(
        [str(trainer), "fingerprint", "--json", *options],
        # Another .env would name other services.
        env=warehouse.process_environ() | {"DATAFLIX_ENV_FILE": "/dev/null"},
        capture_output=True,
        text=True,
        check=False,
    )
    if result.returncode != 0:
        lines = result.stderr.strip().splitlines() or ["it printed nothing"]
        raise CertificateError(f"The training failed: {lines[-1]}")
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def require_same_bytes(present: dict[str, Any], reference: dict[str, Any]) -> None:
    """Compare two trainings.

    Raises:
        CertificateError: they differ.
    """
    if present == reference:
        return
    names = sorted(present["files"].keys() | reference["files"].keys())
    differing = [name for name in names if present["files"].get(name) != reference["files"].get(name)]
    raise CertificateError(
        f"The model of the warehouse differs from that of a new one with the same rows, in "
        f"{', '.join(differing) or 'the counts of its data'}. The tables of analytics are older than the "
        "last erasure or load, or hold something else. Run ./run.sh pipeline and try again. Nothing was "
        "signed."
    )
