"""A certificate is issued only if no byte of a model tells that somebody was there. It names nobody."""

import json
import os
import random
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg2
import pytest

from dataflix_common.locks import exclusive_lock
from dataflix_ops import command
from dataflix_ops.erasure_certificate import certificate as certificate_module
from dataflix_ops.erasure_certificate import record, signature
from dataflix_ops.erasure_certificate.certificate import FORM, issue, summary
from dataflix_ops.erasure_certificate.errors import CertificateError
from dataflix_ops.erasure_certificate.retraining import require_same_bytes, retrain
from dataflix_ops.erasure_certificate.warehouses import Fill, Warehouse, copy_rows, reference_warehouse
from dataflix_ops.postgres_session import administrator
from dataflix_stack.config import settings as stack_settings
from dataflix_testkit import ClickHouseServer, PostgresServer, clickhouse, postgres
from dataflix_testkit.process import ROOT, clean_environ
from dataflix_trainer.data.warehouse import Warehouse as TrainerWarehouse
from dataflix_trainer.model.hyperparameters import Hyperparameters
from dataflix_trainer.retraining import fingerprint
from dataflix_trainer.settings import ClickHouseSettings, available_cores

PEOPLE, ERASED, MOVIES = 80, 20, 40
FIRST_ID = 7_310_000
AIRFLOW_BIN = ROOT / "airflow" / ".venv" / "bin"
TRAINING = ["--factors", "4", "--iterations", "2"]
MODELS = (
    *("user_item_matrix", "dim_movies", "ratings_aggregated", "trending_movies", "confidence_weights"),
    "data_source",
)
KEY = "c4" * 32


@dataclass
class World:
    """Both databases, and what runs on them."""

    source: PostgresServer
    target: ClickHouseServer
    data: Path
    folder: Path

    def sql(self, statement: str) -> list[tuple[Any, ...]]:
        connection = psycopg2.connect(self.source.dsn("postgres"))
        try:
            with connection, connection.cursor() as cursor:
                cursor.execute(statement)
                return list(cursor) if cursor.description else []
        finally:
            connection.close()

    def elt(self, *words: str, warehouse: Warehouse | None = None) -> None:
        environ = (warehouse or warehouse_of(self.target)).process_environ()
        environ |= self.source.environ | {"DATAFLIX_CLICKHOUSE_DATA_DIR": str(self.data)}
        run([str(AIRFLOW_BIN / "elt"), *words], environ)

    def build(self, target: ClickHouseServer) -> None:
        project = str(ROOT / "dbt")
        command = [str(AIRFLOW_BIN / "dbt"), "run", "--select", *(f"+{model}" for model in MODELS)]
        folders = {
            "DBT_TARGET_PATH": str(self.folder / "target"),
            "DBT_LOG_PATH": str(self.folder / "logs"),
        }
        run([*command, "--project-dir", project, "--profiles-dir", project], target.environ | folders)

    def issue(self, erasure_id: int, fill: Fill | None = None) -> dict[str, Any]:
        with administrator(
            host=self.source.host,
            port=self.source.port,
            dbname=self.source.dbname,
            password=self.source.environ["DATAFLIX_POSTGRES_ADMIN_PASSWORD"],
            error=CertificateError,
            readonly=True,
        ) as connection:
            return issue(
                erasure_id,
                connection,
                warehouse_of(self.target),
                lambda _: None,
                folder=self.folder,
                fill=fill,
                training_options=TRAINING,
            )


def warehouse_of(server: ClickHouseServer) -> Warehouse:
    return Warehouse(server.host, server.port, server.environ)


def run(command: list[str], environ: dict[str, str]) -> None:
    done = subprocess.run(
        command, env=clean_environ(environ), capture_output=True, text=True, check=False, timeout=1200
    )
    assert done.returncode == 0, done.stdout + done.stderr


def rows() -> str:
    """Return the statements that add people with ratings, the same at each call."""
    dice = random.Random(7)
    users = ", ".join(
        f"({FIRST_ID + i}, 'person{i}x', 'person{i}x@example.org', 'Unmistakable', 'Surname{i}x')"
        for i in range(PEOPLE)
    )
    ratings = ", ".join(
        f"({FIRST_ID + i}, {movie}, {dice.randint(1, 10) / 2},"
        f" '2025-01-01'::timestamptz + interval '{dice.randint(0, 10**7)} seconds')"
        for i in range(PEOPLE)
        for movie in sorted(dice.sample(range(1, MOVIES + 1), 12))
    )
    movies = ", ".join(f"({i}, 'Movie {i}', array['Drama'])" for i in range(1, MOVIES + 1))
    return (
        f"INSERT INTO users (user_id, username, email, first_name, last_name) VALUES {users};"
        f"INSERT INTO movies (movie_id, title, genres) VALUES {movies};"
        f"INSERT INTO ratings (user_id, movie_id, rating, rated_at) VALUES {ratings}"
    )


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Eighty people are loaded; twenty of them are erased, and the marts are built again."""
    folder = tmp_path_factory.mktemp("certificate")
    data = folder / "data"
    with postgres() as source, clickhouse(data) as target:
        made = World(source, target, data, folder)
        made.sql(rows())
        made.elt("load")
        # What the person changes leaves versions and deletions in the warehouse.
        erased = ", ".join(str(FIRST_ID + i) for i in range(0, 2 * ERASED, 2))
        made.sql(
            f"UPDATE ratings SET rating = 5 WHERE user_id IN ({erased}) AND movie_id < 5;"
            f"DELETE FROM ratings WHERE user_id IN ({erased}) AND movie_id > 35;"
            f"SELECT erase_user(user_id) FROM users WHERE user_id IN ({erased})"
        )
        made.elt("load")
        made.elt("erase")
        made.build(target)
        yield made


def test_twenty_people_leave_no_byte_in_the_model(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The other warehouse is loaded from Postgres, where they are not: it never saw them."""
    (world.folder / "certificate-of-a-killed-run").mkdir()
    trainings = iter((retrain, train_here))

    def train(warehouse: Warehouse, options: Sequence[str]) -> dict[str, Any]:
        return next(trainings)(warehouse, [*options])

    monkeypatch.setattr(certificate_module, "retrain", train)
    (erasure_id,) = world.sql("SELECT max(erasure_id) FROM erasures")[0]
    seen: list[int] = []

    def load(reference: Warehouse) -> None:
        world.elt("load", "--full", warehouse=reference)
        seen.extend(
            row[0] for row in reference.client().query("SELECT DISTINCT user_id FROM raw.users").result_rows
        )

    text = signature.sign(world.issue(erasure_id, load), KEY)

    assert len(seen) == PEOPLE - ERASED
    said = signature.verified(text, signature.public_key(KEY))
    training = said["now"]["retrained_without_the_person"]
    assert training["users"] == PEOPLE - ERASED
    assert training["files"].keys() >= {
        *("model/item_factors.npy", "model/manifest.json", "evaluated/item_factors.npy"),
    }
    assert said["erasure"]["number"] == erasure_id
    assert "raw.ratings" in said["searched"]["tables_for_the_number_of_the_user"]
    assert said["searched"]["bytes_unpacked"] > 10_000
    assert said["searched"]["files_for_the_pseudonyms"] > 10
    assert said["versions"].keys() >= {"numpy", "implicit", "clickhouse", "postgres", "python"}
    for trace in ("person1", "Unmistakable", "Surname"):
        assert trace not in text
    # As whole words: a hash may have any digits.
    assert not {str(FIRST_ID + i) for i in range(PEOPLE)} & set(re.findall(r"\w+", text))
    # Nothing of the second warehouse stays.
    assert list(world.folder.glob("certificate-*")) == []


def test_the_present_rows_are_those_of_postgres(world: World) -> None:
    """By default the second warehouse gets the rows of the first, which a load has compared with Postgres."""
    client = world.target.client("dataflix_admin", autogenerate_session_id=False)
    with clickhouse() as new:
        copy_rows(client, warehouse_of(new))
        copied = new.client("dataflix_admin").query("SELECT user_id FROM raw.users ORDER BY 1").result_rows
        stars = new.client("dataflix_admin").query(
            "SELECT user_id, movie_id, rating FROM raw.ratings ORDER BY 1, 2"
        )
    assert list(copied) == world.sql("SELECT user_id FROM users ORDER BY 1")
    assert list(stars.result_rows) == world.sql("SELECT user_id, movie_id, rating FROM ratings ORDER BY 1, 2")


def test_two_commands_do_not_share_a_folder(tmp_path: Path) -> None:
    def never(_: Warehouse) -> None:
        raise AssertionError

    with (
        exclusive_lock(tmp_path / "certificate.lock"),
        pytest.raises(CertificateError, match="Another certificate is being issued"),
        reference_warehouse(never, tmp_path),
    ):
        pass


def test_a_trace_of_the_person_is_no_certificate(world: World) -> None:
    """Sums that were built before the erasure still hold what the person added."""
    client = world.target.client("dataflix_admin", autogenerate_session_id=False)
    before = train_here(warehouse_of(world.target), TRAINING)
    client.command(
        "ALTER TABLE analytics.ratings_aggregated UPDATE bayesian_mean = bayesian_mean + 0.001"
        " WHERE movie_id = 3",
        settings={"mutations_sync": 2},
    )
    with pytest.raises(CertificateError, match=r"differs.*model/.*pipeline.*Nothing was signed"):
        require_same_bytes(train_here(warehouse_of(world.target), TRAINING), before)


def train_here(warehouse: Warehouse, _options: Sequence[str]) -> dict[str, Any]:
    """Train as the command does, in this process: a new one takes five seconds to start."""
    settings = ClickHouseSettings.from_environ(warehouse.process_environ())
    with TrainerWarehouse.connect(settings) as opened:
        return fingerprint(opened, Hyperparameters(factors=4, iterations=2), threads=available_cores())


def test_what_happens_during_the_trainings_is_noticed(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A certificate speaks of the moment when it is signed, which is minutes after the first look."""
    (erasure_id,) = world.sql("SELECT max(erasure_id) FROM erasures")[0]
    happens: list[Callable[[], object]] = []

    @contextmanager
    def reference(_fill: Fill, _folder: Path) -> Iterator[Warehouse]:
        for event in happens:
            event()
        yield warehouse_of(world.target)

    monkeypatch.setattr(certificate_module, "retrain", lambda *_: {"files": {}})
    monkeypatch.setattr(certificate_module, "reference_warehouse", reference)
    monkeypatch.setattr(certificate_module, "_text", lambda *_: {"signed": True})

    def load() -> None:
        world.elt("load", "--full", "--table", "users")

    # The parts of the new table have the names of the old ones.
    load()
    happens[:] = [load]
    with pytest.raises(CertificateError, match="pipeline wrote to the warehouse meanwhile"):
        world.issue(erasure_id)
    happens.clear()
    with monkeypatch.context() as patch:
        # Without a trigger there is no record of the erasure.
        looks = iter((0, 1))
        patch.setattr(record, "unknown_users", lambda *_: next(looks))
        with pytest.raises(CertificateError, match="Somebody was erased meanwhile"):
            world.issue(erasure_id)
    assert world.issue(erasure_id) == {"signed": True}
    happens[:] = [lambda: world.sql(f"SELECT erase_user({FIRST_ID + 5})")]
    with pytest.raises(CertificateError, match="One other erasure is not verified yet"):
        world.issue(erasure_id)
    world.elt("load")
    world.elt("erase")


def test_only_verified_erasures_get_one(world: World) -> None:
    with pytest.raises(CertificateError, match="no erasure 999"):
        world.issue(999)
    (first,) = world.sql("SELECT min(erasure_id) FROM erasures")[0]
    world.sql(f"SELECT erase_user({FIRST_ID + 1})")
    (pending,) = world.sql("SELECT max(erasure_id) FROM erasures")[0]
    with pytest.raises(CertificateError, match=f"Erasure {pending} is not verified"):
        world.issue(pending)
    with pytest.raises(CertificateError, match="One other erasure is not verified"):
        world.issue(first)
    # The record alone does not make the warehouse forget.
    world.sql(f"UPDATE erasures SET user_id = NULL, verified_at = now() WHERE erasure_id = {pending};")
    with pytest.raises(CertificateError, match="holds 1 users who are not in Postgres"):
        world.issue(pending)


SAID: dict[str, Any] = {
    "form": FORM,
    "issued_at": datetime(2026, 11, 30, tzinfo=UTC).isoformat(),
    "erasure": {"number": 1, "requested_at": "2026-11-28", "verified_at": "2026-11-29"},
    "searched": {"files_were_searched": True, "files_for_the_pseudonyms": 12},
}


def certificate() -> str:
    return signature.sign(SAID, KEY)


def test_a_certificate_without_a_search_of_files_says_so() -> None:
    assert "verified 2026-11-29, when 12 files were searched;" in summary(SAID)
    said = SAID | {"searched": {"files_were_searched": False, "files_for_the_pseudonyms": None}}
    assert "verified 2026-11-29, when no file was searched;" in summary(said)


@pytest.mark.parametrize("said", [{}, SAID | {"form": "form 2"}, {"form": None}])
def test_a_certificate_of_another_form_is_not_judged(said: dict[str, Any]) -> None:
    with pytest.raises(CertificateError, match=r"signature is valid, but .* form that this version"):
        summary(signature.verified(signature.sign(said, KEY), signature.public_key(KEY)))


def test_the_form_of_a_file_does_not_matter() -> None:
    signed = json.loads(certificate())
    assert signature.verified(json.dumps(signed, sort_keys=True), signature.public_key(KEY).upper())


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda signed: signed["certificate"]["erasure"].update(number=2), "changed after it was signed"),
        (lambda signed: signed["certificate"].update(more=1), "changed after it was signed"),
        (lambda signed: signed.update(signature="00" * 64), "changed after it was signed"),
        (lambda signed: signed.update(signature="zz"), "no certificate"),
        (lambda signed: signed.update(signature=7), "no certificate"),
        (lambda signed: signed.update(certificate=[]), "no certificate"),
        (lambda signed: signed.update(more=1), "no certificate"),
        (lambda signed: signed.pop("signature"), "no certificate"),
    ],
)
def test_a_changed_certificate_is_refused(change: Any, reason: str) -> None:
    signed = json.loads(certificate())
    change(signed)
    with pytest.raises(CertificateError, match=reason):
        signature.verified(json.dumps(signed), signature.public_key(KEY))


@pytest.mark.parametrize("text", ["", "[]", "null", '"x"', "{", "[" * 100_000, "7"])
def test_other_files_are_refused(text: str) -> None:
    with pytest.raises(CertificateError, match="no certificate"):
        signature.verified(text, signature.public_key(KEY))


def test_a_name_that_is_there_twice_is_refused() -> None:
    text = certificate().replace('"number": 1', '"number": 2, "number": 1')
    with pytest.raises(CertificateError, match="no certificate"):
        signature.verified(text, signature.public_key(KEY))


def test_a_certificate_of_another_key_is_refused() -> None:
    other = "d5" * 32
    with pytest.raises(CertificateError, match="signed with another key"):
        signature.verified(certificate(), signature.public_key(other))
    # Anybody can put a public key into a file.
    forged = json.loads(signature.sign({"erasure": {"number": 1}}, other)) | {
        "public_key": signature.public_key(KEY)
    }
    with pytest.raises(CertificateError, match="not valid"):
        signature.verified(json.dumps(forged), signature.public_key(KEY))
    with pytest.raises(CertificateError, match="64 hexadecimal digits"):
        signature.verified(certificate(), "ab")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        *((b"\xff\xfe", "it is not UTF-8"), (None, "No such file or directory"), (b"{}", "no certificate")),
        (b" " * (1 << 21), "it is too large"),
    ],
)
def test_the_command_says_what_is_wrong_with_a_file(
    tmp_path: Path, content: bytes | None, message: str
) -> None:
    file = tmp_path / "certificate.json"
    if content is not None:
        file.write_bytes(content)
    done = subprocess.run(
        [
            *(str(ROOT / ".venv" / "bin" / "python"), str(ROOT / "scripts" / "ops.py")),
            *("verify-certificate", str(file), "--public-key", signature.public_key(KEY)),
        ],
        env=dict(os.environ),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_an_empty_key_is_not_that_of_env(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A variable of the shell that is not set is an empty text: who trusts a key must not get another one."""
    monkeypatch.setenv("DATAFLIX_ENV_FILE", str(tmp_path / "env"))
    monkeypatch.setenv("DATAFLIX_HOME", str(tmp_path / "home"))
    key = stack_settings.load(create=True)["MODEL_PROMOTION_KEY"]
    (tmp_path / "file").write_text(signature.sign(SAID, key))
    monkeypatch.setattr(sys, "argv", ["ops.py", "verify-certificate", str(tmp_path / "file")])
    command.main()
    assert "The certificate is valid: erasure 1 of 2026-11-28" in capsys.readouterr().out
    monkeypatch.setattr(sys, "argv", [*sys.argv, "--public-key", ""])
    with pytest.raises(SystemExit, match="64 hexadecimal digits"):
        command.main()


def test_an_output_that_cannot_be_written_is_refused_before_anything_is_trained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def never(**_: Any) -> None:
        raise AssertionError("asked the database first")

    monkeypatch.setenv("DATAFLIX_ENV_FILE", str(tmp_path / "env"))
    monkeypatch.setenv("DATAFLIX_HOME", str(tmp_path / "home"))
    stack_settings.load(create=True)
    capsys.readouterr()
    monkeypatch.setattr(command, "administrator", never)
    pipe, file = tmp_path / "pipe", tmp_path / "file"
    os.mkfifo(pipe)
    file.touch()
    refused = {
        pipe: "device or a pipe",
        Path("/dev/null"): "device or a pipe",
        tmp_path: "it is a folder",
        tmp_path / "none" / "file": "is no folder that you can write to",
        file / "file": "Not a directory",
    }
    for output, reason in refused.items():
        monkeypatch.setattr(sys, "argv", ["ops.py", "erasure-certificate", "1", "--output", str(output)])
        with pytest.raises(SystemExit) as end:
            command.main()
        assert str(end.value).startswith(f"ops erasure-certificate: {output} can't be written: ")
        assert reason in str(end.value)
    assert pipe.is_fifo()


def test_equal_trainings_are_equal_in_every_count() -> None:
    one: dict[str, Any] = {"files": {"a": "1"}, "users": 1}
    require_same_bytes(one, dict(one))
    with pytest.raises(CertificateError, match="counts of its data"):
        require_same_bytes(one, one | {"users": 2})
