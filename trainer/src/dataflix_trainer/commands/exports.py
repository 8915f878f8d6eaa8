"""The command that exports the published lists."""

from dataflix_trainer.commands.results import CommandResult
from dataflix_trainer.data.warehouse import Warehouse
from dataflix_trainer.promotion.list_export import export_recommendations
from dataflix_trainer.settings import (
    ClickHouseSettings,
    S3Settings,
    read_environment,
)


def export(file_format: str, target: str) -> CommandResult:
    """Write the published lists of all users to a file or an object in S3."""
    environ = read_environment()
    with Warehouse.connect(ClickHouseSettings.from_environ(environ)) as warehouse:
        rows = export_recommendations(
            warehouse, file_format, target, lambda: S3Settings.from_environ(environ)
        )
    return CommandResult(
        {"rows": rows, "format": file_format, "out": target}, f"Wrote {rows:,} rows to {target}"
    )
