"""The command that trains without registering."""

from collections.abc import Mapping
from typing import Any

from dataflix_trainer.commands.results import CommandResult
from dataflix_trainer.data.warehouse import Warehouse
from dataflix_trainer.model.hyperparameters import Hyperparameters
from dataflix_trainer.retraining import fingerprint as fingerprint_of
from dataflix_trainer.settings import ClickHouseSettings, TrainingSettings, read_environment


def fingerprint(parameters: Mapping[str, Any]) -> CommandResult:
    """Train on the warehouse, and say which bytes come out."""
    environ = read_environment()
    threads = TrainingSettings.from_environ(environ).threads
    with Warehouse.connect(ClickHouseSettings.from_environ(environ)) as warehouse:
        result = fingerprint_of(warehouse, Hyperparameters(**parameters), threads=threads)
    return CommandResult(
        result,
        f"Artifact {result['artifact_sha256']} of data set {result['dataset_sha256']}: "
        f"{result['interactions']:,} interactions of {result['users']:,} users",
    )
