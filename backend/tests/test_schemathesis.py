"""Schemathesis against the running service with every check on: no 5xx, and every answer fits its schema."""

import json
import logging
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from dataflix_recommender import Model
from dataflix_testkit import PostgresServer, postgres
from dataflix_testkit.long_mode import LONG_MODE, only_long, short_or_long
from dataflix_testkit.process import clean_environ

from .support import copied as copies
from .support import data, models
from .support.api import API_KEY
from .support.server import serving

CONFIG = Path(__file__).with_name("schemathesis.toml")
COMMAND = Path(sys.executable).with_name("schemathesis")
# The phase coverage adds about 1,800 cases, the same ones each time.
PHASES = "coverage,fuzzing,stateful" if LONG_MODE else "fuzzing,stateful"
EXAMPLES = short_or_long(12, 300)
# The short form tries the same cases each time; the long form prints its seed when it finds something.
SEED = [] if LONG_MODE else ["--seed", "1"]


@contextmanager
def own_tables() -> Iterator[tuple[PostgresServer, Model]]:
    with postgres() as pg:
        catalogue = data.seed(pg.dsn("dataflix_backend"))
        yield pg, models.taste_model(catalogue.genres, catalogue.titles)


@contextmanager
def copied_tables() -> Iterator[tuple[PostgresServer, Model]]:
    with postgres() as pg, copies.copied_database(pg) as copied:
        yield copied.server, copied.model


@pytest.mark.timeout(short_or_long(900, 7200))
# In the short mode test_source_ids walks the routes of a copy.
@pytest.mark.parametrize("tables", [own_tables, pytest.param(copied_tables, marks=only_long)])
def test_every_answer_is_as_documented(
    tmp_path: Path, tables: Callable[[], AbstractContextManager[tuple[PostgresServer, Model]]]
) -> None:
    with tables() as (pg, model):
        models.publish(tmp_path / "models", "1", model)
        with serving(tmp_path, pg.environ) as server:
            command = [
                *(str(COMMAND), "--config-file", str(CONFIG), "run", f"{server.url}/openapi.json"),
                *("-H", f"X-API-Key: {API_KEY}", "--checks", "all", "--phases", PHASES),
                *("--max-examples", str(EXAMPLES), *SEED, "--no-color"),
                # Ids of a copy are texts, and most texts that are drawn cannot be a segment of a path.
                *("--suppress-health-check", "filter_too_much"),
            ]
            ended = subprocess.run(
                command, env=clean_environ({}), cwd=tmp_path, capture_output=True, text=True, check=False
            )
            entries = [json.loads(line) for line in server.log.read_text().splitlines()]
    assert ended.returncode == 0, ended.stdout[-6000:]
    made = re.search(r"(\d+) generated, (\d+) passed", ended.stdout)
    assert made, ended.stdout[-2000:]
    assert made[1] == made[2]
    statuses = Counter(entry["status"] for entry in entries if entry["event"] == "request")
    assert max(statuses) < 500
    assert {200, 201, 400, 401, 404, 422} <= set(statuses)
    logging.getLogger("reliability").warning("schemathesis: %s cases, answers %s", made[1], dict(statuses))
