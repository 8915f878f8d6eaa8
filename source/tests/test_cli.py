"""The program as a person runs it: messages with lines, exit codes, nothing half done."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from psycopg2.extensions import connection as Connection  # noqa: N812

from dataflix_source.cli import main
from dataflix_source.description.yaml_file import read_description

from .conftest import LIBRARY_FILE, READER, READER_PASSWORD, Application, fetch, run_script

TRIGGERS_FILE = LIBRARY_FILE.replace("copy: compare", "copy: triggers")


@pytest.fixture
def run(
    library: Application, own: Connection, server: object, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Callable[..., int]:
    """Run the program in a folder of its own, with the settings of the library and of our Postgres."""
    environ = {
        **server.environ,  # type: ignore[attr-defined]
        "DATAFLIX_ENV_FILE": str(tmp_path / "none"),
        "DATAFLIX_SOURCE_HOST": library.reader.host,
        "DATAFLIX_SOURCE_PORT": str(library.reader.port),
        "DATAFLIX_SOURCE_DB": library.name,
        "DATAFLIX_SOURCE_USER": READER,
        "DATAFLIX_SOURCE_PASSWORD": READER_PASSWORD,
        "DATAFLIX_SOURCE_CHECK_PASSWORD": library.owner.password,
    }
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    Path("dataflix.yml").write_text(TRIGGERS_FILE, encoding="utf-8")
    return lambda *arguments: main(list(arguments))


def test_the_way_from_nothing_to_a_copy(
    run: Callable[..., int], library: Application, own: Connection, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("inspect", "--user", "app_owner", "--output", "proposed.yml") == 0
    assert read_description(Path("proposed.yml")).description.people.id.name == "card"
    assert "run ./run.sh source check --user app_owner proposed.yml\n" in capsys.readouterr().out
    assert run("check", "--user", "app_owner") == 0
    assert "what `./run.sh source script --user app_owner dataflix.yml` prints" in capsys.readouterr().out
    for command in ("ready", "copy"):
        assert run(command) == 1
        assert "`./run.sh source script` prints what makes it" in capsys.readouterr().err
    assert run("status") == 0
    shown = capsys.readouterr().out
    assert "The last copy failed" in shown
    assert "`./run.sh source script` prints what makes it" in shown
    assert "Nothing was copied" in shown
    assert run("script", "--user", "app_owner") == 0
    run_script(library, capsys.readouterr().out)
    assert run("ready") == 0
    capsys.readouterr()
    assert run("copy", "--json", "--wait") == 0
    assert json.loads(capsys.readouterr().out)["entities"]["people"]["inserted"] == 3
    library.execute("UPDATE book SET title = 'Persuasion' WHERE title = 'Emma'")
    assert run("copy", "--quiet") == 0
    assert "items (changes): 1 read, 0 new, 1 changed, 0 deleted" in capsys.readouterr().out
    assert fetch(own, "SELECT count(*) FROM movies WHERE title = 'Persuasion'") == [(1,)]
    assert run("status") == 0
    shown = capsys.readouterr().out
    assert f"library: database {library.name}" in shown
    assert "copy: triggers. Every committed change" in shown
    assert run("status", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert len(found["entities"]) == 4
    assert (found["source"], found["mode"], found["problem"]) == ("library", "triggers", None)
    assert run("script", "--remove") == 0
    run_script(library, capsys.readouterr().out)
    assert run("copy") == 1


def test_the_next_step_is_named(
    run: Callable[..., int], library: Application, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("c.yml").write_text(LIBRARY_FILE, encoding="utf-8")
    assert run("check", "--user", "app_owner", "c.yml") == 0
    assert "`./run.sh source check c.yml`, without --user, names the rights" in capsys.readouterr().out
    library.execute(f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {READER}")
    assert run("check", "c.yml") == 0
    assert capsys.readouterr().out.endswith("Next: ./run.sh --source c.yml\n")


def test_a_problem_has_its_line(run: Callable[..., int], capsys: pytest.CaptureFixture[str]) -> None:
    Path("dataflix.yml").write_text(TRIGGERS_FILE.replace("name: title", "name: titel"), encoding="utf-8")
    line = TRIGGERS_FILE.split("\n").index("  name: title") + 1
    assert run("check", "--user", "app_owner") == 1
    errors = capsys.readouterr().err
    assert f"dataflix.yml:{line}: problem: items.name: public.book has no column titel" in errors
    assert run("script", "--user", "app_owner") == 1
    assert "CREATE" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "content", "code", "message"),
    [
        (("check",), "version: 1\npeople: [\n", 1, "dataflix.yml:3: is no YAML"),
        (("check", "missing.yml"), None, 1, "missing.yml: can't be read"),
        (("inspect", "--output", "dataflix.yml"), None, 1, "dataflix.yml exists already"),
        (("script",), LIBRARY_FILE, 1, "copy: compare needs nothing in the source"),
        (("copy",), LIBRARY_FILE, 1, "GRANT SELECT"),
    ],
)
def test_what_is_refused(
    run: Callable[..., int],
    own: Connection,
    capsys: pytest.CaptureFixture[str],
    *,
    arguments: tuple[str, ...],
    content: str | None,
    code: int,
    message: str,
) -> None:
    if content is not None:
        Path("dataflix.yml").write_text(content, encoding="utf-8")
    assert run(*arguments) == code
    assert message in capsys.readouterr().err
    assert fetch(own, "SELECT FROM users") == []


def test_settings_that_are_missing(
    run: Callable[..., int], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("DATAFLIX_SOURCE_HOST")
    assert run("copy") == 3
    assert "DATAFLIX_SOURCE_HOST is not set" in capsys.readouterr().err


def test_the_schema_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["schema"]) == 0
    assert json.loads(capsys.readouterr().out)["title"] == "dataflix.yml"


def test_wrong_use() -> None:
    with pytest.raises(SystemExit) as caught:
        main(["fly"])
    assert caught.value.code == 2


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (UnicodeDecodeError("utf-8", b"caf\xe9", 3, 4, "unexpected end of data"), "not UTF-8"),
        (EOFError(), "No password was typed"),
    ],
)
def test_a_password_that_cannot_be_read_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], error: Exception, message: str
) -> None:
    def ask(_: str) -> str:
        raise error

    monkeypatch.delenv("DATAFLIX_SOURCE_CHECK_PASSWORD", raising=False)
    monkeypatch.setattr("getpass.getpass", ask)
    assert main(["inspect", "--user", "somebody"]) == 1
    printed = capsys.readouterr().err
    assert message in printed
    assert "DATAFLIX_SOURCE_CHECK_PASSWORD" in printed
    assert "caf" not in printed
