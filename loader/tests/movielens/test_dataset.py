"""Data sets are told by what their files contain."""

import zipfile
from pathlib import Path

import pytest

from dataflix_loader.movielens.dataset import Format, Layout, Role, find_layout
from dataflix_loader.movielens.errors import NotMovieLensError, SourceError
from dataflix_loader.movielens.sources import open_source
from dataflix_testkit.movielens import WRITERS, write_csv, write_udata


def layout_of(path: Path) -> Layout:
    with open_source(path) as files:
        return find_layout(str(path), files)


def zipped(folder: Path, archive: Path, inside: str) -> Path:
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as out:
        for file in sorted(folder.iterdir()):
            out.write(file, f"{inside}{file.name}")
            out.writestr(f"__MACOSX/{inside}._{file.name}", b"shadow")
    return archive


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("csv", (Format.CSV, {Role.FILMS, Role.LINKS, Role.RATINGS})),
        ("ml-1m", (Format.DAT, {Role.FILMS, Role.PEOPLE, Role.RATINGS})),
        ("ml-10m", (Format.DAT, {Role.FILMS, Role.RATINGS})),
        ("ml-100k", (Format.UDATA, {Role.FILMS, Role.PEOPLE, Role.RATINGS})),
    ],
)
def test_every_layout_is_found_in_folders_and_zip_files(
    tmp_path: Path, kind: str, expected: tuple[Format, set[Role]]
) -> None:
    folder = WRITERS[kind](tmp_path / "outer" / "inner")
    places = [
        folder,
        folder.parent,
        zipped(folder, tmp_path / "flat.zip", ""),
        zipped(folder, tmp_path / "nested.zip", "ml/"),
    ]
    for place in places:
        layout = layout_of(place)
        assert (layout.format, set(layout.files)) == expected


@pytest.mark.parametrize("kind", WRITERS)
def test_names_do_not_matter(tmp_path: Path, kind: str) -> None:
    folder = WRITERS[kind](tmp_path)
    usual = {role: file.size for role, file in layout_of(folder).files.items()}
    for number, file in enumerate(sorted(folder.iterdir())):
        file.rename(folder / f"file{number}.txt")
    assert {role: file.size for role, file in layout_of(folder).files.items()} == usual


def test_the_whole_of_ml_100k_is_taken_and_not_its_parts(tmp_path: Path) -> None:
    assert layout_of(write_udata(tmp_path)).ratings.name == "u.data"


def test_a_byte_order_mark_and_windows_lines_are_no_obstacle(tmp_path: Path) -> None:
    write_csv(tmp_path)
    for file in tmp_path.iterdir():
        file.write_bytes(b"\xef\xbb\xbf" + file.read_bytes().replace(b"\n", b"\r\n"))
    assert layout_of(tmp_path).links is not None


def test_a_folder_of_something_else_is_refused_with_what_was_looked_for(tmp_path: Path) -> None:
    (tmp_path / "movies.csv").write_text("title;year\nAlien;1979\n")
    (tmp_path / "empty.csv").touch()
    with pytest.raises(NotMovieLensError, match=r"ratings\.csv .*movies\.csv.*u\.data.*Found nothing"):
        layout_of(tmp_path)


def test_what_is_missing_can_be_seen_from_what_was_found(tmp_path: Path) -> None:
    write_csv(tmp_path)
    (tmp_path / "ratings.csv").unlink()
    with pytest.raises(NotMovieLensError, match=r"Found films in movies\.csv, links in links\.csv"):
        layout_of(tmp_path)


def test_two_data_sets_side_by_side_are_refused(tmp_path: Path) -> None:
    write_csv(tmp_path / "a")
    write_csv(tmp_path / "b")
    with pytest.raises(NotMovieLensError, match=r"more than one data set \(a/ratings\.csv, b/ratings\.csv\)"):
        layout_of(tmp_path)


@pytest.mark.parametrize("content", [None, b"", b"no zip file at all"])
def test_a_path_that_is_neither_folder_nor_zip_is_refused(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "data.zip"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(NotMovieLensError, match="does not exist" if content is None else "neither a folder"):
        layout_of(path)


def test_a_damaged_zip_file_is_named(tmp_path: Path) -> None:
    archive = zipped(write_csv(tmp_path / "folder"), tmp_path / "data.zip", "")
    content = bytearray(archive.read_bytes())
    content[40:60] = bytes(20)
    archive.write_bytes(content)
    with pytest.raises(SourceError, match=r"links\.csv can't be"):
        layout_of(archive)
