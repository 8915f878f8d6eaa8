"""Postgres' disk is full: writes are refused completely, reads work, and free space is enough to recover."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from dataflix_backend.services.list_ids import ListIds
from dataflix_testkit import fill_disk, small_disk

from .support import data, models
from .support.api import API_KEY
from .support.killable import KillablePostgres
from .support.server import Server, serving

# An empty Postgres takes 40 MB and 16 MB for each WAL segment, of which it makes at least two.
DISK_MB = 160
WRITES = 400
HEALED_IN_S = 60


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    with small_disk(tmp_path / "disk", megabytes=DISK_MB) as mounted:
        mounted.chmod(0o755)
        yield mounted


@pytest.fixture
def cluster(disk: Path) -> Iterator[KillablePostgres]:
    running = KillablePostgres(disk)
    try:
        yield running
    finally:
        running.stop()


def dismiss(server: Server, session: requests.Session, user: int, movie: int) -> int:
    """Dismiss a movie, which is two rows: the feedback and the block."""
    listed = ListIds(API_KEY).new("1", user, [movie])
    said = {"recommendation_id": listed, "movie_id": movie, "event": "dismissed"}
    body = {**said, "position": 1, "user_id": user}
    answer = session.post(f"{server.url}/feedback", json=body, timeout=60)
    if answer.status_code == 503:
        assert int(answer.headers["Retry-After"]) > 0
        assert "disk" not in answer.text
    return answer.status_code


def counted(cluster: KillablePostgres, table: str) -> int:
    connection = data.connect(cluster.server.dsn("postgres"))
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT count(*) FROM {table}")
        ((count,),) = cursor.fetchall()
    connection.close()
    return int(count)


def test_a_full_disk_refuses_writes_whole_and_room_heals_it(
    cluster: KillablePostgres, disk: Path, tmp_path: Path
) -> None:
    catalogue = data.seed(cluster.server.dsn("dataflix_backend"))
    model = models.taste_model(catalogue.genres, catalogue.titles)
    models.publish(tmp_path / "home" / "models", "1", model)
    with serving(tmp_path / "home", cluster.server.environ) as server, server.session() as session:
        reader, *writers = catalogue.users
        url = f"{server.url}/recommendations/{reader}"
        before = session.get(url, timeout=60).json()
        movies = [row["movie_id"] for row in before["data"]]
        pairs = [(user, movie) for user in writers for movie in catalogue.titles]
        ballast = fill_disk(disk, left=0)
        statuses = []
        for user, movie in pairs[:WRITES]:
            statuses.append(dismiss(server, session, user, movie))
            if statuses.count(503) == 20:
                break
        assert 503 in statuses
        assert set(statuses) <= {201, 503}
        for _ in range(10):
            answer = session.get(url, timeout=60)
            assert answer.status_code == 200
            assert [row["movie_id"] for row in answer.json()["data"]] == movies
        ballast.unlink()
        deadline = time.monotonic() + HEALED_IN_S
        # Postgres ends if it cannot write its log; then its supervisor starts it again.
        cluster.start()
        while dismiss(server, session, *pairs[WRITES]) != 201:
            assert time.monotonic() < deadline
            time.sleep(0.2)
        assert counted(cluster, "feedback") == counted(cluster, "user_blocks") == statuses.count(201) + 1
        fresh = session.get(url, timeout=60).json()
        assert fresh["meta"]["stale"] is False
        assert [row["movie_id"] for row in fresh["data"]] == movies
