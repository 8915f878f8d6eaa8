"""A small warehouse that is filled like in the pipeline: raw rows, dbt, then the trainer's tables."""

import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from dataflix_testkit import ClickHouseServer
from dataflix_testkit.process import ROOT, clean_environ

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
USERS, MOVIES = 36, 24
GENRES: tuple[list[str], ...] = (["Drama"], ["Comedy", "Romance"], ["Action", "Drama"], [])
COUNTRIES = (("United States", "Ohio"), ("United States", "Utah"), ("France", None), (None, None))

# Number of ratings of Drama movies below: every movie has a rating of every user but one.
DRAMA_RATINGS = (MOVIES // 2) * (USERS - 1)

_AUDIT = ("rows", "distinct_keys", "checksum", "source_rows", "source_distinct_keys", "source_checksum")


def fill(server: ClickHouseServer, work: Path) -> None:
    """Fill raw, run `dbt build`, write the registry and recommendations. dbt keeps its files in `work`."""
    _load(server.client("elt_writer"))
    command = [
        *(str(ROOT / "airflow" / ".venv" / "bin" / "dbt"), "build", "--exclude-resource-type", "unit_test"),
        *("--project-dir", str(ROOT / "dbt"), "--profiles-dir", str(ROOT / "dbt")),
    ]
    moved = {"DBT_TARGET_PATH": str(work / "target"), "DBT_LOG_PATH": str(work / "logs")}
    result = subprocess.run(
        command, env=clean_environ(server.environ | moved), capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stdout[-3000:]
    _publish(server.client("dataflix_admin"))


def _load(client: Any) -> None:
    def insert(table: str, columns: str, rows: list[list[Any]]) -> None:
        names = [*columns.split(), "_version", "_is_deleted", "_extracted_at", "_run_id"]
        client.insert(f"raw.{table}", [[*row, 1, 0, NOW, "run-1"] for row in rows], column_names=names)
        # Counts and checksums of warehouse and source, like the load writes them.
        audit = [len(rows), len(rows), "c0ffee"] * 2
        client.insert(
            "raw.load_audit",
            [["run-1", table, *audit, True, NOW, NOW + timedelta(seconds=2)]],
            column_names=["run_id", "table_name", *_AUDIT, "matches", "started_at", "finished_at"],
        )

    insert(
        "users",
        "user_id username_hash email_hash first_name last_name state country created_at updated_at",
        [
            [n, "a" * 64, "b" * 64, "A***", "B***", *reversed(COUNTRIES[n % 4]), NOW, NOW]
            for n in range(USERS)
        ],
    )
    insert(
        "movies",
        "movie_id title genres release_year created_at updated_at",
        [[m, f"Movie {m}", GENRES[m % 4], 1990 + m if m else None, NOW, NOW] for m in range(MOVIES)],
    )
    events = [(n, m, NOW - timedelta(days=3 * m + n)) for n in range(USERS) for m in range(MOVIES) if n != m]
    insert(
        "ratings",
        "user_id movie_id rating rated_at updated_at",
        [[n, m, 1 + (n + m) % 9 / 2, at, NOW] for n, m, at in events],
    )
    insert(
        "watched_movies", "user_id movie_id watched_at updated_at", [[n, m, at, NOW] for n, m, at in events]
    )


def _publish(client: Any) -> None:
    versions = [
        [1, NOW - timedelta(days=1), "accepted", "beats popularity", False, "run-0", NOW],
        [2, NOW, "accepted", "beats the champion", True, "run-1", NOW],
    ]
    names = "model_version registered_at decision decision_reason is_champion airflow_run_id promoted_at"
    client.insert("analytics.registry_versions", versions, column_names=names.split())
    metrics = [
        [version, candidate, metric, value / 10]
        for version in (1, 2)
        for candidate, value in (("model", 2 + version), ("popularity", 1))
        for metric in ("ndcg@10", "coverage@10")
    ]
    names = "model_version candidate metric value"
    client.insert("analytics.registry_metrics", metrics, column_names=names.split())
    # Half of the movies are recommended.
    lists = [[n, 1, n % (MOVIES // 2), 0.5, "2", NOW] for n in range(USERS)]
    names = "user_id rank movie_id score model_version generated_at"
    client.insert("analytics.recommendations", lists, column_names=names.split())
