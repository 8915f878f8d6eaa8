"""What every command promises, and where settings come from."""

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from dataflix_common.env_file import with_env_file
from dataflix_common.settings import SettingsError
from dataflix_trainer import cli, settings
from dataflix_trainer.commands.results import CommandResult
from dataflix_trainer.evaluation.protocols import PROTOCOLS
from dataflix_trainer.model.hyperparameters import Hyperparameters
from dataflix_trainer.promotion.list_export import WRITERS


@pytest.mark.parametrize("name", sorted(cli.main.commands))
def test_every_command_has_help_and_json(name: str) -> None:
    command = cli.main.commands[name]
    assert command.help
    assert "--json" in {option for parameter in command.params for option in parameter.opts}
    assert all(isinstance(p, click.Argument) or getattr(p, "help", "") for p in command.params)
    assert CliRunner().invoke(cli.main, [name, "--help"]).exit_code == 0


@pytest.mark.parametrize("name", ["factors", "alpha", "iterations", "link_weight", "seed"])
def test_help_of_train_shows_the_default_that_applies(name: str) -> None:
    (option,) = (option for option in cli.train.params if option.name == name)
    assert isinstance(option, click.Option)
    assert str(option.show_default).split()[-1] == f"{getattr(Hyperparameters(), name):.12g}"
    text = CliRunner().invoke(cli.main, ["train", "--help"], terminal_width=200).stdout
    assert f"[default: ({option.show_default})" in text


def test_help_offers_what_the_code_knows() -> None:
    choices = {
        name: set(option.type.choices)
        for command in (cli.evaluate, cli.export)
        for option in command.params
        if isinstance(option.type, click.Choice) and (name := option.name)
    }
    assert choices == {"protocol": set(PROTOCOLS), "file_format": set(WRITERS)}


@pytest.mark.parametrize("name", ["--item-item-weight", "--link-weight"])
def test_the_old_name_of_an_option_is_still_read(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[Mapping[str, float]] = []

    def train(parameters: Mapping[str, float], provenance: object) -> CommandResult:
        given.append(parameters)
        return CommandResult({}, "")

    monkeypatch.setattr("dataflix_trainer.commands.models.train", train)
    assert CliRunner().invoke(cli.main, ["train", f"{name}=0.25"]).exit_code == 0
    assert given == [{"link_weight": 0.25}]


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
        ("evaluate", "--ratings=x"),
        ("evaluate", "1", "--ratings=x", "--protocol=random"),
        ("evaluate", "--seed=2"),
        ("evaluate", "--tune", "1"),
        ("evaluate", "--out=report.json"),
        ("benchmark", "--ratings=x", "--json=y"),
        ("evaluate", "--ratings=", "--protocol=random"),
        ("evaluate", "--ratings=x", "--protocol=random", f"--k={'9' * 5000}"),
        ("evaluate", "--ratings=x", "--protocol=random", "--k=10,²"),
        ("tune", "--budget=nan"),
        ("tune", "--budget=inf"),
        ("train", "--alpha=inf"),
        ("train", "--regularization=nan"),
    ],
)
def test_wrong_usage_is_refused(words: tuple[str, ...]) -> None:
    result = CliRunner().invoke(cli.main, list(words))
    assert result.exit_code == 2
    assert "Error:" in result.stderr


def test_settings_come_from_the_env_file_and_the_environment_wins(tmp_path: Path) -> None:
    file = tmp_path / "settings.env"
    file.write_text("DATAFLIX_MLFLOW_PORT=6000\nDATAFLIX_MODEL_NAME=from-file\nDATAFLIX_CLICKHOUSE_HOST=\n")
    environ = with_env_file({"DATAFLIX_ENV_FILE": str(file), "DATAFLIX_MODEL_NAME": "from-shell"})
    mlflow = settings.MlflowSettings.from_environ(environ)
    assert (mlflow.address, mlflow.registered_model_name) == ("127.0.0.1:6000", "from-shell")
    assert environ["DATAFLIX_HOME"] == str(tmp_path / ".dataflix")


def test_no_secret_has_a_default_or_shows_itself() -> None:
    for kind in (settings.ClickHouseSettings, settings.S3Settings, settings.JobServerSettings):
        with pytest.raises(SettingsError, match="is not set"):
            kind.from_environ({})
    with pytest.raises(SettingsError, match="DATAFLIX_TRAINER_TOKEN must have at least 16 characters"):
        settings.JobServerSettings.from_environ({"DATAFLIX_TRAINER_TOKEN": "short"})
    shown = settings.S3Settings.from_environ(
        {"DATAFLIX_S3_ACCESS_KEY": "visible-key", "DATAFLIX_S3_SECRET_KEY": "visible-secret"}
    )
    assert "visible" not in repr(shown)


def test_every_wrong_setting_is_named_at_once() -> None:
    with pytest.raises(SettingsError) as caught:
        settings.ClickHouseSettings.from_environ({"DATAFLIX_CLICKHOUSE_PORT": "0"})
    assert "DATAFLIX_CLICKHOUSE_PORT" in str(caught.value)
    assert "DATAFLIX_CLICKHOUSE_TRAINER_PASSWORD" in str(caught.value)
