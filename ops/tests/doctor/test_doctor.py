"""Without a running stack every check fails by itself, quickly, and says what to do."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from dataflix_ops.doctor import source
from dataflix_ops.doctor.check import Check, CheckError, run_checks
from dataflix_ops.doctor.report import remedy
from dataflix_stack.config import settings as stack_settings
from dataflix_stack.config.settings import Settings
from dataflix_stack.config.state import State
from dataflix_testkit import free_port
from dataflix_testkit.process import ROOT

SCRIPT = ROOT / "scripts" / "doctor.py"
SERVICES = {
    *("postgres", "clickhouse", "s3", "mlflow", "airflow-api-server", "trainer", "superset", "backend"),
    "model-sync",
}
PORTS = ("POSTGRES", "CLICKHOUSE", "S3", "S3_CONSOLE", "MLFLOW", "AIRFLOW", "TRAINER", "BACKEND", "SUPERSET")


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """The settings of a stack that was never started, on ports that nobody listens on."""
    monkeypatch.setenv("DATAFLIX_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("DATAFLIX_ENV_FILE", str(tmp_path / "settings.env"))
    for name in PORTS:
        monkeypatch.setenv(f"DATAFLIX_{name}_PORT", str(free_port()))
    return stack_settings.load(create=True)


def run_script(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(SCRIPT), *words],
        env=os.environ | {"NO_COLOR": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_every_check_of_a_stopped_stack_fails_and_says_what_to_do(settings: Settings) -> None:
    result = run_script("--json")
    assert result.returncode == 1, result.stderr
    report = json.loads(result.stdout)
    assert report["all_work"] is False
    assert {row["service"] for row in report["checks"]} == SERVICES
    for row in report["checks"]:
        assert row["works"] is False, row
        assert row["detail"], row
        assert "./run.sh" in row["way_out"], row
    secrets = [value for name, value in settings.values.items() if "PASSWORD" in name and value]
    assert not any(value in result.stdout for value in secrets)


def test_a_source_that_is_away_is_named(settings: Settings, tmp_path: Path) -> None:
    description = tmp_path / "dataflix.yml"
    description.write_text((ROOT / "examples" / "shop" / "dataflix.yml").read_text())
    values = {
        "FILE": str(description),
        "HOST": "127.0.0.1",
        "PORT": str(free_port()),
        "DB": "shop",
        "USER": "r",
    }
    lines = settings.env_file.read_text().splitlines()
    kept = [line for line in lines if line.split("=")[0].removeprefix("DATAFLIX_SOURCE_") not in values]
    added = [f"DATAFLIX_SOURCE_{name}={value}" for name, value in values.items()]
    settings.env_file.write_text("\n".join([*kept, *added]) + "\n")
    loaded = stack_settings.load(create=False)
    outcomes = run_checks(source.checks(loaded), loaded)
    assert [outcome.works for outcome in outcomes] == [False, False]
    assert f"The source shop on 127.0.0.1:{values['PORT']} can't be used" in outcomes[0].detail
    # Our own Postgres does not run either.
    assert "Is it running (./run.sh status)?" in outcomes[1].detail
    assert source.checks(settings) == []


def test_the_table_ends_with_what_to_do_and_honours_no_color(settings: Settings) -> None:
    result = run_script()
    assert result.returncode == 1
    assert "FAILS" in result.stdout
    assert "\x1b[" not in result.stdout
    assert "superset: the stack does not run: ./run.sh starts it" in result.stderr


def test_without_settings_the_message_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATAFLIX_ENV_FILE", str(tmp_path / "nothing.env"))
    result = run_script()
    assert result.returncode == 1
    assert "./run.sh writes it" in result.stderr
    assert "Traceback" not in result.stderr


def test_a_check_that_fails_or_hangs_does_not_stop_others(settings: Settings) -> None:
    def fails(_: Settings) -> str:
        raise CheckError("not as it should be")

    def hangs(_: Settings) -> str:
        time.sleep(600)
        return "never"

    checks = [
        Check("one", "fails", fails),
        Check("two", "hangs", hangs, timeout_s=0.2),
        Check("three", "works", lambda _: "seen"),
    ]
    outcomes = run_checks(checks, settings)
    assert [(outcome.works, outcome.detail) for outcome in outcomes] == [
        (False, "not as it should be"),
        (False, "took too long"),
        (True, "seen"),
    ]


@pytest.mark.parametrize(
    ("runtime", "wanted"),
    [("local", "logs/s3.log"), ("docker", "docker compose logs s3"), (None, "./run.sh starts it")],
)
def test_what_to_do_depends_on_how_the_stack_runs(
    settings: Settings, runtime: str | None, wanted: str
) -> None:
    settings.home.mkdir()
    State(runtime=runtime).write(settings)
    (outcome,) = run_checks([Check("s3", "fails", lambda _: str(1 / 0))], settings)
    assert wanted in remedy(outcome, settings)
