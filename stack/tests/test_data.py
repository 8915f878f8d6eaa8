"""Which data a state folder gets: what was asked for, what .env says, and never other data on top."""

import subprocess
from pathlib import Path

import pytest

from dataflix_stack import status, up
from dataflix_stack.__main__ import main
from dataflix_stack.config import dotenv_file
from dataflix_stack.config import settings as stack_settings
from dataflix_stack.config.settings import Settings
from dataflix_stack.config.state import State
from dataflix_stack.errors import StackError
from dataflix_stack.services import data, source
from dataflix_stack.services.data import Chosen
from dataflix_stack.services.registry import BY_NAME, COPY_SERVICE, wanted_services
from dataflix_stack.services.source import SourceStatus
from dataflix_stack.up import first_pipeline_run


@pytest.fixture
def stack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("DATAFLIX_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("DATAFLIX_ENV_FILE", str(tmp_path / "env"))
    settings = stack_settings.load(create=True)
    stack_settings.prepare_home(settings.home)
    return settings


@pytest.fixture
def description(tmp_path: Path) -> Path:
    path = tmp_path / "the shop's dataflix.yml"
    path.touch()
    return path


@pytest.fixture
def done(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is done to the data, without doing it."""
    steps: list[str] = []
    monkeypatch.setattr(source, "refuse_unready", lambda _: steps.append("ready"))
    monkeypatch.setattr(source, "copy", lambda _: steps.append("copy"))
    monkeypatch.setattr(data, "_run_loader", lambda _, path: steps.append(str(path or "sample")))
    return steps


def start(chosen: Chosen) -> Settings:
    """Do what ./run.sh does with the data."""
    data.check(chosen)
    settings = stack_settings.load(create=True)
    settings = data.settle(settings, chosen, State.read(settings))
    data.load(settings, chosen)
    return settings


def test_without_a_word_it_is_the_sample_once(stack: Settings, done: list[str]) -> None:
    for _ in range(2):
        settings = start(Chosen())
    assert done == ["sample"]
    assert State.read(settings).data == "sample"
    assert COPY_SERVICE not in [service.name for service in wanted_services(settings)]
    assert source.source_status(settings) is None


def test_a_source_is_checked_copied_and_remembered(
    stack: Settings, done: list[str], description: Path
) -> None:
    settings = start(Chosen(description=description))
    assert done == ["ready", "copy"]
    assert stack_settings.load(create=False)["SOURCE_FILE"] == str(description) == settings["SOURCE_FILE"]
    # A later start neither waits for the source nor needs to be told.
    settings = start(Chosen())
    assert done == ["ready", "copy"]
    assert COPY_SERVICE in [service.name for service in wanted_services(settings)]
    command = BY_NAME[COPY_SERVICE].command(settings)
    assert command[1:] == ["follow", str(description), "--every", "60"]


def test_the_copy_gets_its_own_passwords_and_no_others(
    stack: Settings, done: list[str], description: Path
) -> None:
    environ = BY_NAME[COPY_SERVICE].environ(start(Chosen(description=description)))
    secrets = {name for name in environ if name.endswith(("PASSWORD", "KEY", "TOKEN"))}
    assert secrets == {"DATAFLIX_POSTGRES_COPIER_PASSWORD", "DATAFLIX_SOURCE_PASSWORD"}
    for name, service in BY_NAME.items():
        if name != COPY_SERVICE:
            assert "DATAFLIX_SOURCE_PASSWORD" not in service.environ(stack)


def test_a_source_that_is_not_ready_leaves_everything_as_it_was(
    stack: Settings, done: list[str], description: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: Settings) -> None:
        raise StackError("the certificate does not fit")

    monkeypatch.setattr(source, "refuse_unready", refuse)
    before = stack.env_file.read_text()
    with pytest.raises(StackError, match="certificate"):
        start(Chosen(description=description))
    assert stack.env_file.read_text() == before
    assert State.read(stack) == State()


def test_a_source_without_settings_says_which_are_missing(stack: Settings, description: Path) -> None:
    description.write_text((Path(__file__).parents[2] / "examples/shop/dataflix.yml").read_text())
    with pytest.raises(StackError, match=r"DATAFLIX_SOURCE_HOST is not set.*DATAFLIX_SOURCE_USER is not set"):
        start(Chosen(description=description))


def test_a_broken_description_is_refused_with_its_line(stack: Settings, description: Path) -> None:
    description.write_text("version: 1\nsource: [\n")
    with pytest.raises(StackError, match=rf"{description}:\d"):
        start(Chosen(description=description))
    with pytest.raises(StackError, match=r"there is no file .*nowhere\.yml"):
        start(Chosen(description=description.with_name("nowhere.yml")))


def test_an_empty_start_may_get_any_data_later(stack: Settings, done: list[str], description: Path) -> None:
    for chosen in (Chosen(nothing=True), Chosen(), Chosen(nothing=True)):
        start(chosen)
        assert done == []
        assert State.read(stack).data == "none"
    # It would fail: there is no Airflow here.
    first_pipeline_run(stack, lambda: None)
    start(Chosen(description=description))
    assert done == ["ready", "copy"]
    assert State.read(stack).data == "source"


@pytest.mark.parametrize("loaded", ["sample", "/some/movielens"])
def test_other_data_are_never_put_on_top(
    stack: Settings, done: list[str], description: Path, loaded: str, tmp_path: Path
) -> None:
    State(data=loaded).write(stack)
    for chosen in (Chosen(description=description), Chosen(nothing=True), Chosen(movielens=tmp_path)):
        with pytest.raises(StackError, match=rf"already holds other data \({loaded}\)"):
            data.settle(stack, chosen, State.read(stack))
    assert done == []
    assert stack_settings.load(create=False)["SOURCE_FILE"] == ""


def test_other_data_beside_a_source_are_refused(
    stack: Settings, done: list[str], description: Path, tmp_path: Path
) -> None:
    settings = start(Chosen(description=description))
    for chosen in (Chosen(nothing=True), Chosen(movielens=tmp_path)):
        with pytest.raises(StackError, match=r"DATAFLIX_SOURCE_FILE in .* Empty the variable"):
            data.settle(settings, chosen, State.read(settings))


def test_status_tells_a_copy_that_fails(
    stack: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    found = SourceStatus("shop", "triggers", "Every change.", "10:00", "09:00", None, None)
    monkeypatch.setattr(status, "source_status", lambda _: found)
    monkeypatch.setattr(status, "_rows", lambda _: [])
    assert status.status(as_json=False) is True
    shown = capsys.readouterr().out
    assert "Your database shop, copy: triggers. Every change." in shown
    assert "Last copy 10:00; last comparison of every row 09:00." in shown
    found = SourceStatus(problem="it went away [here]", failing_since="10:01")
    assert status.status(as_json=False) is False
    shown = capsys.readouterr().out
    assert "Your database was not copied yet." in shown
    assert "Copies fail since 10:01: it went away [here]" in shown
    assert status.status(as_json=True) is False


@pytest.mark.parametrize("accepted", [False, True])
def test_another_database_is_taken_over_by_the_copy_and_by_the_load(
    stack: Settings, monkeypatch: pytest.MonkeyPatch, *, accepted: bool
) -> None:
    """Both refuse one that was not there before, and name this way out."""
    asked: list[object] = []

    def copied(_: Settings, *words: str) -> subprocess.CompletedProcess[str]:
        asked.append("--accept-source" in words)
        return subprocess.CompletedProcess(words, 0, "", "")

    dotenv_file.set_value(stack.env_file, "DATAFLIX_SOURCE_FILE", "/the/shop.yml")
    monkeypatch.setattr(source, "_run", copied)
    monkeypatch.setattr(up, "is_healthy", lambda *_: True)
    monkeypatch.setattr(up, "run_pipeline", lambda *_, **options: asked.append(options["accept_source"]))
    monkeypatch.setattr(up, "latest_publication", lambda _: None)
    monkeypatch.setattr("sys.argv", ["run.sh", "pipeline", *(["--accept-source"] if accepted else [])])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 0
    assert asked == [accepted, accepted]
