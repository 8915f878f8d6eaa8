"""Writes figures as JSON."""

import json
from pathlib import Path
from typing import Any

from dataflix_common.files import replace_file
from dataflix_trainer.errors import ExportError


def write_json(path: Path, document: Any) -> None:
    """Replace ``path`` by ``document`` in one step.

    Raises:
        ExportError: the file cannot be written.
    """
    try:
        replace_file(path, json.dumps(document, indent=1, allow_nan=False) + "\n", mode=None)
    except OSError as error:
        raise ExportError(f"{path} can't be written: {error}") from error
