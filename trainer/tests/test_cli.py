"""What every command promises, and where settings come from."""

import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from dataflix_trainer import cli, settings
from dataflix_trainer.errors import SettingsError
from dataflix_trainer.model.als import Hyperparameters


@pytest.mark.parametrize("name", sorted(cli.main.commands))
def test_every_command_has_help_and_json(name: str) -> None:
    command = cli.main.commands[name]
    assert command.help
    assert "--json" in {option for parameter in command.params for option in parameter.opts}
    assert all(isinstance(p, click.Argument) or getattr(p, "help", "") for p in command.params)
    assert CliRunner().invoke(cli.main, [name, "--help"]).exit_code == 0


@pytest.mark.parametrize("name", ["factors", "alpha", "iterations", "link_weight"])
def test_help_of_train_tells_the_default_that_is_taken(name: str) -> None:
    (option,) = (option for option in cli.train.params if option.name == name)
    assert isinstance(option, click.Option)
    assert (option.help or "").endswith(f"[default: {getattr(Hyperparameters(), name):g}]")


def test_help_does_not_wait_for_what_is_slow_to_import() -> None:
    program = (
        "import sys\nfrom dataflix_trainer import cli\n"
        "try:\n    cli.main(['train', '--help'])\n"
        "finally:\n    print(sorted({'mlflow', 'implicit', 'pyarrow', 'pandas', 'flask'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize(
    "words",
    [
        ("train", "--factors=0"),
        ("train", "--alpha=0"),
        ("train", "--regularization=-1"),
        ("train", "--seed=x"),
        ("models", "--limit=0"),
        ("export", "--format=xml", "--out=x"),
        ("export", "--format=csv"),
        ("dance",),
    ],
)
def test_wrong_usage_is_refused(words: tuple[str, ...]) -> None:
    result = CliRunner().invoke(cli.main, list(words))
    assert result.exit_code == 2
    assert "Error:" in result.stderr


def test_settings_come_from_the_env_file_and_the_environment_wins(tmp_path: Path) -> None:
    file = tmp_path / "settings.env"
    file.write_text("DATAFLIX_MLFLOW_PORT=6000\nDATAFLIX_MODEL_NAME=from-file\nDATAFLIX_CLICKHOUSE_HOST=\n")
    environ = settings.environment({"DATAFLIX_ENV_FILE": str(file), "DATAFLIX_MODEL_NAME": "from-shell"})
    mlflow = settings.MlflowSettings.from_environ(environ)
    assert (mlflow.address, mlflow.model_name) == ("127.0.0.1:6000", "from-shell")
    assert environ["DATAFLIX_HOME"] == str(tmp_path / ".dataflix")


def test_no_secret_has_a_default_or_shows_itself() -> None:
    for kind in (settings.ClickHouseSettings, settings.S3Settings, settings.ServeSettings):
        with pytest.raises(SettingsError, match="is not set"):
            kind.from_environ({})
    with pytest.raises(SettingsError, match="DATAFLIX_TRAINER_TOKEN is shorter than 16"):
        settings.ServeSettings.from_environ({"DATAFLIX_TRAINER_TOKEN": "short"})
    shown = settings.S3Settings.from_environ(
        {"DATAFLIX_S3_ACCESS_KEY": "visible-key", "DATAFLIX_S3_SECRET_KEY": "visible-secret"}
    )
    assert "visible" not in repr(shown)


def test_every_wrong_setting_is_named_at_once() -> None:
    with pytest.raises(SettingsError) as caught:
        settings.ClickHouseSettings.from_environ({"DATAFLIX_CLICKHOUSE_PORT": "0"})
    assert "DATAFLIX_CLICKHOUSE_PORT" in str(caught.value)
    assert "DATAFLIX_CLICKHOUSE_TRAINER_PASSWORD" in str(caught.value)
