"""The command ``trainer``. What is slow to import is imported by the command that needs it."""

from pathlib import Path

import click

from dataflix_trainer import openmp
from dataflix_trainer.output import Answer, answers, told

EPILOG = (
    "Settings come from the environment and .env (DATAFLIX_*). Exit codes: 0 done, 1 other errors, 2 wrong "
    "settings or usage, 3 a service does not answer, 4 the data hold nothing usable, 5 no such version, "
    "6 the file cannot be written."
)


@click.group(epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="dataflix-trainer")
def main() -> None:
    """Train, evaluate, promote and publish Dataflix models."""
    try:
        openmp.require()
    except openmp.MissingLibraryError as error:
        raise click.ClickException(str(error)) from error


@main.command()
@click.option("--factors", type=click.IntRange(1, 1024), help="Latent factors.  [default: 128]")
@click.option("--alpha", type=click.FloatRange(0, min_open=True), help="Confidence per weight.  [default: 2]")
@click.option(
    "--regularization",
    type=click.FloatRange(0, min_open=True),
    help="Ridge of the factors.  [default: scaled to the data]",
)
@click.option("--iterations", type=click.IntRange(1, 1000), help="ALS iterations.  [default: 15]")
@click.option(
    "--link-weight",
    type=click.FloatRange(0),
    help="Of the links between films; 0 leaves them out.  [default: 0.5]",
)
@click.option("--seed", type=click.IntRange(0, 2**32 - 1), help="Of the random start.")
@click.option("--airflow-run-id", default="", help="Recorded on the version.")
@click.option("--airflow-run-url", default="", help="Recorded on the version.")
@click.option("--dbt-manifest-sha256", default="", help="Recorded on the version.")
@click.option("--job-id", default="", help="Recorded on the version.")
@answers
def train(
    *, airflow_run_id: str, airflow_run_url: str, dbt_manifest_sha256: str, job_id: str, **given: float | None
) -> Answer:
    """Train a model on the warehouse and register it as a new version.

    What no option gives is taken from the latest tuning, else it is the default.
    """
    origin = {
        "airflow_run_id": airflow_run_id,
        "airflow_run_url": airflow_run_url,
        "dbt_manifest_sha256": dbt_manifest_sha256,
        "job_id": job_id,
    }
    parameters = {name: value for name, value in given.items() if value is not None}
    from dataflix_trainer import commands  # noqa: PLC0415 - imports MLflow

    return commands.train(parameters, origin)


@main.command()
@click.option(
    "--budget",
    type=click.FloatRange(1),
    default=600,
    show_default=True,
    help="Seconds; no trial begins later.",
)
@answers
def tune(budget: float) -> Answer:
    """Search for better parameters on the warehouse's data; later trainings take them.

    A search that was stopped goes on where it was as long as the data are the same.
    """
    from dataflix_trainer import commands  # noqa: PLC0415 - imports MLflow

    return commands.tune(budget)


@main.command()
@click.argument("version", required=False)
@answers
def evaluate(version: str | None) -> Answer:
    """Measure VERSION (default: the champion, else the newest) against popularity on the present data."""
    from dataflix_trainer import commands  # noqa: PLC0415 - imports MLflow

    return commands.evaluate(version)


@main.command()
@click.argument("version", required=False)
@click.option("--force", is_flag=True, help="Skip the rule; recorded on the version.")
@answers
def promote(version: str | None, *, force: bool) -> Answer:
    """Let VERSION (default: the newest) serve if the rule accepts it."""
    from dataflix_trainer import commands  # noqa: PLC0415 - imports MLflow

    return commands.promote(version, force=force)


@main.command()
@click.argument("version", required=False)
@answers
def publish(version: str | None) -> Answer:
    """Promote VERSION (default: the newest) by the rule; write the champion's lists to the warehouse."""
    from dataflix_trainer import commands  # noqa: PLC0415 - imports MLflow

    return commands.publish(version)


@main.command()
@answers
def rollback() -> Answer:
    """Let the version serve that served before the present champion."""
    from dataflix_trainer import commands  # noqa: PLC0415 - imports MLflow

    return commands.rollback()


@main.command()
@click.option("--limit", type=click.IntRange(1, 1000), default=20, show_default=True, help="The newest.")
@answers
def models(limit: int) -> Answer:
    """List versions with their metrics, and what the rule said of each."""
    from dataflix_trainer import commands  # noqa: PLC0415 - imports MLflow

    return commands.models(limit)


@main.command()
@click.option(
    "--older-than",
    "days",
    type=click.IntRange(0, 3650),
    help="Days.  [default: DATAFLIX_RETENTION_DAYS, 30]",
)
@click.option("--dry-run", is_flag=True, help="Only say what would go.")
@answers
def prune(days: int | None, *, dry_run: bool) -> Answer:
    """Remove versions, runs and files of models, and exports in our bucket, that are older.

    The champion stays, and so does the version that a rollback would go to. Exports are the objects under
    exports/ in DATAFLIX_S3_BUCKET.
    """
    from dataflix_trainer.registry.retention import prune_from_environment  # noqa: PLC0415 - imports MLflow

    return prune_from_environment(days, dry_run=dry_run)


@main.command()
@click.option(
    "--format", "file_format", type=click.Choice(["csv", "parquet"]), required=True, help="Of the file."
)
@click.option("--out", required=True, metavar="FILE|s3://BUCKET/KEY", help="Replaced if it exists.")
@answers
def export(file_format: str, out: str) -> Answer:
    """Write the published lists of all users to a file."""
    from dataflix_trainer.promotion.list_export import export_from_environment  # noqa: PLC0415 - imports Arrow

    rows = export_from_environment(file_format, out)
    return Answer({"rows": rows, "format": file_format, "out": out}, f"Wrote {rows:,} rows to {out}")


@main.command()
@click.option(
    "--ratings",
    type=click.Path(path_type=Path),
    required=True,
    help="MovieLens folder or zip, or a CSV or Parquet file of user, item, rating, timestamp.",
)
@click.option(
    "--protocol",
    type=click.Choice(["temporal", "strong", "random"]),
    required=True,
    help="How the ratings are split.",
)
@click.option("--k", "cutoffs", default="10,20,100", show_default=True, help="Lengths of lists.")
@click.option(
    "--seed", type=click.IntRange(0, 2**32 - 1), default=1, show_default=True, help="Of everything drawn."
)
@click.option("--tune", is_flag=True, help="Tune every model on the validation part first.")
@click.option(
    "--budget", type=click.FloatRange(1), default=600, show_default=True, help="Seconds for all tuning."
)
@click.option("--threads", type=click.IntRange(1, 256), help="Of ALS.  [default: the cores we may use]")
@click.option("--json", "out", type=click.Path(path_type=Path), required=True, help="Where the report goes.")
@told
def benchmark(
    *,
    ratings: Path,
    protocol: str,
    cutoffs: str,
    seed: int,
    tune: bool,
    budget: float,
    threads: int | None,
    out: Path,
) -> str:
    """Measure the product's model and the baselines on a file of ratings; no service is needed."""
    from dataflix_trainer.evaluation import command  # noqa: PLC0415 - imports Optuna, Arrow and implicit

    return command.run(
        ratings, out, protocol=protocol, cutoffs=cutoffs, seed=seed, tune=tune, budget=budget, threads=threads
    )


@main.command()
@click.option("--ratings", type=click.Path(path_type=Path), required=True, help="As for the benchmark.")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder of plots and figures.")
@click.option(
    "--seed", type=click.IntRange(0, 2**32 - 1), default=1, show_default=True, help="Of everything drawn."
)
@answers
def report(ratings: Path, out: Path, seed: int) -> Answer:
    """Plot quality against factors and regularisation for every protocol (needs matplotlib)."""
    from dataflix_trainer import settings  # noqa: PLC0415 - reads files only when needed
    from dataflix_trainer.evaluation.sweep_report import report as write_report  # noqa: PLC0415 - imports Optuna

    text = write_report(ratings, out, seed=seed, threads=settings.training_threads(settings.environment()))
    return Answer({"out": str(out)}, text)


@main.command()
@answers
def serve() -> Answer:
    """Serve the job API until SIGTERM or SIGINT."""
    from dataflix_trainer.jobs.server import serve as serve_jobs  # noqa: PLC0415 - imports Flask

    serve_jobs()


if __name__ == "__main__":
    main()
