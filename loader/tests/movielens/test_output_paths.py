"""What an import writes never replaces what it reads, whatever way the path is spelled."""

import os
import zipfile
from pathlib import Path

import pytest
from psycopg2.extensions import connection as Connection  # noqa: N812

from dataflix_loader.movielens import command
from dataflix_loader.movielens.command import main
from dataflix_testkit.movielens import write_csv
from dataflix_testkit.oltp import fetch


@pytest.fixture(autouse=True)
def _nothing_is_read(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """Fail when a data set is opened: these paths are refused before."""
    if "database" not in request.fixturenames:
        monkeypatch.setattr(command, "open_dataset", lambda _: pytest.fail("the data set was opened"))
        monkeypatch.setenv("DATAFLIX_POSTGRES_ADMIN_PASSWORD", "x" * 16)


def spellings(target: Path, elsewhere: Path) -> dict[str, Path]:
    elsewhere.mkdir()
    symlink, hard_link, folder = elsewhere / "symlink", elsewhere / "hard", elsewhere / "folder"
    symlink.symlink_to(target)
    os.link(target, hard_link)
    folder.symlink_to(target.parent)
    return {
        "same": target,
        "dots": target.parent / ".." / target.parent.name / "." / target.name,
        "relative": Path(os.path.relpath(target)),
        "symlink": symlink,
        "hard link": hard_link,
        "symlink of the folder": folder / target.name,
    }


@pytest.mark.parametrize("option", ["--rejects", "--manifest"])
@pytest.mark.parametrize("name", ["ratings.csv", "movies.csv", "links.csv", "tags.csv"])
def test_an_output_that_is_an_input_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], option: str, name: str
) -> None:
    folder = write_csv(tmp_path / "ml")
    before = {file: file.read_bytes() for file in folder.iterdir()}
    for path in spellings(folder / name, tmp_path / "elsewhere").values():
        assert main([str(folder), option, str(path)]) == 2
        message = capsys.readouterr().err
        assert option in message
        assert name in message
    assert {file: file.read_bytes() for file in folder.iterdir()} == before


def test_a_data_set_of_symlinks_protects_the_files_that_it_points_to(tmp_path: Path) -> None:
    real = write_csv(tmp_path / "real")
    links = tmp_path / "links"
    links.mkdir()
    for file in real.iterdir():
        (links / file.name).symlink_to(file)
    assert main([str(links), "--rejects", str(real / "ratings.csv")]) == 2


def test_the_zip_file_itself_is_an_input(tmp_path: Path) -> None:
    archive = tmp_path / "ml.zip"
    with zipfile.ZipFile(archive, "w") as out:
        for file in write_csv(tmp_path / "ml").iterdir():
            out.write(file, file.name)
    before = archive.read_bytes()
    for path in spellings(archive, tmp_path / "elsewhere").values():
        assert main([str(archive), "--manifest", str(path)]) == 2
    assert archive.read_bytes() == before


def test_both_outputs_in_one_file_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = write_csv(tmp_path / "ml")
    arguments = ["--rejects", str(tmp_path / "out"), "--manifest", str(tmp_path / "ml" / ".." / "out")]
    assert main([str(folder), *arguments]) == 2
    assert "--manifest and --rejects name the same file" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_the_settings_file_is_an_input(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = tmp_path / "settings.env"
    settings.write_text(f"DATAFLIX_POSTGRES_ADMIN_PASSWORD={'x' * 16}\n")
    monkeypatch.setenv("DATAFLIX_ENV_FILE", str(settings))
    assert main([str(write_csv(tmp_path / "ml")), "--rejects", str(settings)]) == 2
    assert settings.read_text().startswith("DATAFLIX_POSTGRES")


@pytest.mark.parametrize("kind", ["folder", "pipe", "device"])
def test_an_output_that_is_no_ordinary_file_is_refused(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "out"
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    else:
        path = Path("/dev/full")
    before = path.stat().st_mode
    assert main([str(write_csv(tmp_path / "ml")), "--rejects", str(path)]) == 2
    assert path.stat().st_mode == before


def test_a_list_of_rejects_next_to_the_data_is_replaced_by_the_next_import(
    database: Connection, tmp_path: Path
) -> None:
    folder = write_csv(tmp_path / "ml", "1,1,9,5\n1,2,4,5\n")
    outputs = ["--rejects", str(folder / "rejects.csv"), "--manifest", str(folder / "manifest.json")]
    for _ in range(2):
        assert main([str(folder), *outputs]) == 0
    assert len((folder / "rejects.csv").read_text().splitlines()) == 2


def test_an_output_that_is_lost_after_the_commit_is_reported(
    database: Connection, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def lose(self: Path, target: Path) -> Path:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(Path, "replace", lose)
    assert main([str(write_csv(tmp_path / "ml")), "--quiet", "--manifest", str(tmp_path / "m.json")]) == 4
    message = capsys.readouterr().err
    assert message.startswith("The data were imported. ")
    assert "Nothing was changed" not in message
    assert fetch(database, "SELECT count(*) FROM movies") == [(4,)]
    assert [file.name for file in tmp_path.iterdir()] == ["ml"]
