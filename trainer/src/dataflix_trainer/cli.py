"""The command ``trainer``. Each command imports the slow libraries that it needs."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dataflix_common.click_types import FiniteRange, PathType
from dataflix_common.model_registry import MAX_HELD_REASON
from dataflix_trainer import openmp
from dataflix_trainer.commands.options import (
    DEFAULT_TUNING_SECONDS,
    MAX_SEED,
    drawing_seed_option,
    file_evaluation_options,
    ratings_option,
    tuned_default,
)
from dataflix_trainer.commands.results import CommandResult, PlainErrorsGroup, prints_result, prints_text
from dataflix_trainer.evaluation.options import FileEvaluationOptions, Protocol
from dataflix_trainer.model.hyperparameters import (
    DEFAULT_ALPHA,
    DEFAULT_FACTORS,
    DEFAULT_ITERATIONS,
    DEFAULT_LINK_WEIGHT,
)
from dataflix_trainer.model.hyperparameters import (
    DEFAULT_SEED as DEFAULT_TRAINING_SEED,
)
from dataflix_trainer.settings import MAX_RETENTION_DAYS, RETENTION_DAYS, available_cores

if TYPE_CHECKING:
    from dataflix_trainer.data.rating_scale import RatingScale

EPILOG = (
    "Settings come from the environment and .env (DATAFLIX_*). Exit codes: 0 success; 1 other errors; 2 "
    "wrong settings or usage; 3 a service does not answer; 4 the data cannot be used; 5 there is no such "
    "version; 6 the file cannot be written; 130 interrupted."
)


@click.group(cls=PlainErrorsGroup, epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="dataflix-trainer")
def main() -> None:
    """Train, evaluate, promote and publish Dataflix models."""
    try:
        openmp.require()
    except openmp.MissingLibraryError as error:
        raise click.ClickException(str(error)) from error


@main.command()
@click.option(
    "--factors",
    type=click.IntRange(1, 1024),
    show_default=tuned_default(DEFAULT_FACTORS),
    help="Latent factors.",
)
@click.option(
    "--alpha",
    type=FiniteRange(0, min_open=True),
    show_default=tuned_default(DEFAULT_ALPHA),
    help="How much confidence grows with an event's weight.",
)
@click.option(
    "--regularization",
    type=FiniteRange(0, min_open=True),
    show_default="scaled to the data",
    help="Ridge of the factors.",
)
@click.option(
    "--iterations",
    type=click.IntRange(1, 1000),
    show_default=tuned_default(DEFAULT_ITERATIONS),
    help="ALS iterations.",
)
@click.option(
    "--item-item-weight",
    "--link-weight",
    "link_weight",
    type=FiniteRange(0),
    show_default=tuned_default(DEFAULT_LINK_WEIGHT),
    help="Weight of the item-item part of the score; 0 leaves it out.",
)
@click.option(
    "--seed",
    type=click.IntRange(0, MAX_SEED),
    show_default=f"{DEFAULT_TRAINING_SEED}",
    help="Seed of the random start.",
)
@click.option("--airflow-run-id", default="", help="Recorded on the version.")
@click.option("--airflow-run-url", default="", help="Recorded on the version.")
@click.option("--dbt-manifest-sha256", default="", help="Recorded on the version.")
@click.option("--job-id", default="", help="Recorded on the version.")
@prints_result
def train(
    *, airflow_run_id: str, airflow_run_url: str, dbt_manifest_sha256: str, job_id: str, **given: float | None
) -> CommandResult:
    """Train a model on the warehouse and register it as a new version."""
    provenance = {
        "airflow_run_id": airflow_run_id,
        "airflow_run_url": airflow_run_url,
        "dbt_manifest_sha256": dbt_manifest_sha256,
        "job_id": job_id,
    }
    parameters = {name: value for name, value in given.items() if value is not None}
    from dataflix_trainer.commands import models as commands  # noqa: PLC0415 - imports MLflow

    return commands.train(parameters, provenance)


@main.command()
@click.option(
    "--factors",
    type=click.IntRange(1, 1024),
    default=DEFAULT_FACTORS,
    show_default=True,
    help="Latent factors.",
)
@click.option(
    "--iterations",
    type=click.IntRange(1, 1000),
    default=DEFAULT_ITERATIONS,
    show_default=True,
    help="Sweeps of ALS over both sides.",
)
@prints_result
def fingerprint(*, factors: int, iterations: int) -> CommandResult:
    """Train a model on the warehouse, register nothing, and print the hashes of what comes out.

    The same data, parameters, threads and libraries give the same hashes.
    """
    from dataflix_trainer.commands import fingerprints as commands  # noqa: PLC0415 - imports MLflow

    return commands.fingerprint({"factors": factors, "iterations": iterations})


@main.command()
@click.option(
    "--budget",
    type=FiniteRange(1),
    default=DEFAULT_TUNING_SECONDS,
    show_default=True,
    help="Seconds after which no trial begins.",
)
@click.option("--reset", is_flag=True, help="Search nothing; forget what earlier searches found.")
@prints_result
def tune(*, budget: float, reset: bool) -> CommandResult:
    """Search for better hyperparameters, which later trainings use.

    The search runs on the warehouse's data. A search on the same data continues where the last one stopped.
    Data of another source have searches of their own.
    """
    from dataflix_trainer.commands import models as commands  # noqa: PLC0415 - imports MLflow

    return commands.reset_tuning() if reset else commands.tune(budget)


@main.command()
@click.argument("version", required=False)
@ratings_option(required=False)
@file_evaluation_options
@click.option("--out", type=PathType(), help="File for the whole report, as JSON; with --ratings.")
@click.option(
    "--new-items",
    is_flag=True,
    help="Measure how items without an event are placed, by making a tenth of the items new.",
)
@prints_result
@click.pass_context
def evaluate(
    context: click.Context,
    /,
    *,
    version: str | None,
    ratings: Path | None,
    out: Path | None,
    new_items: bool,
    **options: Any,
) -> CommandResult:
    """Measure a version, or models on a file of ratings.

    Without --ratings: measure VERSION (default: the champion, else the newest) and popularity on the
    warehouse's present data.

    With --ratings: fit the product's model and the baselines on a file, and measure them. This needs no
    service. All other options but --json and --new-items belong to it.

    With --new-items: fit on the warehouse's present data without a tenth of the items, and measure how their
    categories and attributes place them.
    """
    if new_items and (version is not None or ratings is not None):
        raise click.UsageError("--new-items excludes VERSION and --ratings.")
    if ratings is not None:
        if version is not None:
            raise click.UsageError("VERSION and --ratings exclude each other.")
        return _evaluate_file(ratings, out, **options)
    for name in ("out", *options):
        if context.get_parameter_source(name) == click.core.ParameterSource.COMMANDLINE:
            option = next(parameter for parameter in context.command.params if parameter.name == name)
            raise click.UsageError(f"{option.opts[0]} needs --ratings.")
    from dataflix_trainer.commands import models as commands  # noqa: PLC0415 - imports MLflow

    return commands.evaluate_new_items() if new_items else commands.evaluate(version)


@main.command(hidden=True)
@ratings_option(required=True)
@file_evaluation_options
@click.option("--json", "out", type=PathType(), required=True, help="File for the report.")
@prints_text
def benchmark(*, ratings: Path, out: Path, **options: Any) -> CommandResult:
    """Measure models on a file of ratings: the old name of trainer evaluate --ratings."""
    return _evaluate_file(ratings, out, **options)


def _evaluate_file(
    ratings: Path,
    out: Path | None,
    *,
    protocol: str | None,
    cutoffs: tuple[int, ...],
    seed: int,
    tune: bool,
    budget: float,
    threads: int | None,
    scale: "RatingScale | None",
) -> CommandResult:
    if protocol is None:
        raise click.UsageError("--ratings needs --protocol.")
    from dataflix_trainer.commands import ratings_files  # noqa: PLC0415 - imports Optuna, Arrow and implicit

    return ratings_files.evaluate_file(
        ratings,
        FileEvaluationOptions(Protocol(protocol), threads or available_cores(), cutoffs, seed),
        scale=scale,
        tuning_seconds=budget if tune else None,
        out=out,
    )


@main.command()
@click.argument("version", required=False)
@click.option("--force", is_flag=True, help="Skip the rule. This is recorded on the version.")
@prints_result
def promote(version: str | None, *, force: bool) -> CommandResult:
    """Let a version serve if the promotion rule accepts it.

    VERSION is the newest by default.
    """
    from dataflix_trainer.commands import models as commands  # noqa: PLC0415 - imports MLflow

    return commands.promote(version, force=force)


@main.command()
@click.argument("version", required=False)
@prints_result
def publish(version: str | None) -> CommandResult:
    """Promote a version by the rule, then publish the champion's lists.

    VERSION is the newest by default. The lists go to the warehouse.
    """
    from dataflix_trainer.commands import models as commands  # noqa: PLC0415 - imports MLflow

    return commands.publish(version)


@main.command()
@prints_result
def rollback() -> CommandResult:
    """Let the previous champion serve again, and hold it.

    No pipeline run replaces it until trainer release.
    """
    from dataflix_trainer.commands import models as commands  # noqa: PLC0415 - imports MLflow

    return commands.rollback()


@main.command()
@click.option("--reason", default="", help="Why: shown by trainer models, the API and dataflix model.")
@prints_result
def hold(reason: str) -> CommandResult:
    """Keep the champion: the promotion rule lets no other version serve.

    trainer release ends it, and so does trainer promote --force.
    """
    from dataflix_trainer.commands import models as commands  # noqa: PLC0415 - imports MLflow

    if len(reason) > MAX_HELD_REASON or not reason.isprintable():
        raise click.BadParameter(
            f"must be one line of at most {MAX_HELD_REASON} characters.", param_hint="--reason"
        )
    return commands.hold(reason.strip())


@main.command()
@prints_result
def release() -> CommandResult:
    """Let the promotion rule replace the champion again, after a hold or a rollback."""
    from dataflix_trainer.commands import models as commands  # noqa: PLC0415 - imports MLflow

    return commands.release()


@main.command()
@click.option(
    "--limit",
    type=click.IntRange(1, 1000),
    default=20,
    show_default=True,
    help="How many versions, newest first.",
)
@prints_result
def models(limit: int) -> CommandResult:
    """List versions with their metrics and the rule's decision."""
    from dataflix_trainer.commands import models as commands  # noqa: PLC0415 - imports MLflow

    return commands.models(limit)


@main.command()
@click.option(
    "--older-than",
    "days",
    type=click.IntRange(0, MAX_RETENTION_DAYS),
    show_default=f"DATAFLIX_RETENTION_DAYS, {RETENTION_DAYS}",
    help="Age in days.",
)
@click.option("--dry-run", is_flag=True, help="Only show what would be removed.")
@prints_result
def prune(days: int | None, *, dry_run: bool) -> CommandResult:
    """Remove old versions, runs, model files and exports.

    The champion stays, and so does the version that a rollback would return to. Exports are the objects under
    exports/ in DATAFLIX_S3_BUCKET.
    """
    from dataflix_trainer.commands import models as commands  # noqa: PLC0415 - imports MLflow

    return commands.prune(days, dry_run=dry_run)


@main.command()
@click.option(
    "--format",
    "file_format",
    type=click.Choice(["csv", "parquet"]),
    required=True,
    help="Format of the file.",
)
@click.option(
    "--out", required=True, metavar="FILE|s3://BUCKET/KEY", help="Where to write; replaced if it exists."
)
@prints_result
def export(file_format: str, out: str) -> CommandResult:
    """Write the published lists of all users to a file."""
    from dataflix_trainer.commands import exports as commands  # noqa: PLC0415 - imports Arrow

    return commands.export(file_format, out)


@main.command()
@ratings_option(required=True)
@click.option("--out", type=PathType(), required=True, help="Folder for plots and figures.")
@drawing_seed_option
@prints_result
def report(ratings: Path, out: Path, seed: int) -> CommandResult:
    """Plot quality against factors and regularization.

    A plot for every protocol, on its validation split. This needs matplotlib.
    """
    from dataflix_trainer.commands import ratings_files  # noqa: PLC0415 - imports Optuna, Arrow and implicit

    return ratings_files.report(ratings, out, seed=seed)


@main.command()
@prints_result
def serve() -> CommandResult:
    """Serve the job API until SIGTERM or SIGINT."""
    from dataflix_trainer.jobs.server import serve as serve_jobs  # noqa: PLC0415 - imports Flask

    serve_jobs()


if __name__ == "__main__":
    main()
