"""Data sets are recognised by what their files contain."""

import os
import zipfile
from pathlib import Path

import pytest

from dataflix_loader.movielens.dataset import Dataset, find_dataset
from dataflix_loader.movielens.errors import FileError, NotMovieLensError
from dataflix_loader.movielens.formats import FileKind, Format
from dataflix_loader.movielens.sources import open_source
from dataflix_testkit.movielens import WRITERS, write_csv, write_udata


def dataset_in(path: Path) -> Dataset:
    with open_source(path) as files:
        return find_dataset(str(path), files)


def zipped(folder: Path, archive: Path, inside: str) -> Path:
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as out:
        for file in sorted(folder.iterdir()):
            out.write(file, f"{inside}{file.name}")
            out.writestr(f"__MACOSX/{inside}._{file.name}", b"shadow")
    return archive


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("csv", (Format.CSV, {FileKind.MOVIES, FileKind.LINKS, FileKind.RATINGS})),
        ("ml-1m", (Format.DAT, {FileKind.MOVIES, FileKind.USERS, FileKind.RATINGS})),
        ("ml-10m", (Format.DAT, {FileKind.MOVIES, FileKind.RATINGS})),
        ("ml-100k", (Format.UDATA, {FileKind.MOVIES, FileKind.USERS, FileKind.RATINGS})),
    ],
)
def test_every_format_is_found_in_folders_and_zip_files(
    tmp_path: Path, kind: str, expected: tuple[Format, set[FileKind]]
) -> None:
    folder = WRITERS[kind](tmp_path / "outer" / "inner")
    places = [
        folder,
        folder.parent,
        zipped(folder, tmp_path / "flat.zip", ""),
        zipped(folder, tmp_path / "nested.zip", "ml/"),
    ]
    for place in places:
        dataset = dataset_in(place)
        assert (dataset.format, set(dataset.files)) == expected


@pytest.mark.parametrize("kind", WRITERS)
def test_file_names_do_not_matter(tmp_path: Path, kind: str) -> None:
    folder = WRITERS[kind](tmp_path)
    usual = {role: file.size for role, file in dataset_in(folder).files.items()}
    for number, file in enumerate(sorted(folder.iterdir())):
        file.rename(folder / f"file{number}.txt")
    assert {role: file.size for role, file in dataset_in(folder).files.items()} == usual


def test_ml_100k_is_read_from_its_whole_file_not_from_the_parts(tmp_path: Path) -> None:
    assert dataset_in(write_udata(tmp_path)).ratings.name == "u.data"


def test_a_byte_order_mark_and_crlf_line_ends_are_accepted(tmp_path: Path) -> None:
    write_csv(tmp_path)
    for file in tmp_path.iterdir():
        file.write_bytes(b"\xef\xbb\xbf" + file.read_bytes().replace(b"\n", b"\r\n"))
    assert dataset_in(tmp_path).links is not None


def test_a_folder_of_other_files_is_refused_with_the_expected_files(tmp_path: Path) -> None:
    (tmp_path / "movies.csv").write_text("title;year\nAlien;1979\n")
    (tmp_path / "empty.csv").touch()
    with pytest.raises(NotMovieLensError, match=r"ratings\.csv .*movies\.csv.*u\.data.*Found none of these"):
        dataset_in(tmp_path)


def test_the_message_lists_the_files_that_were_found(tmp_path: Path) -> None:
    write_csv(tmp_path)
    (tmp_path / "ratings.csv").unlink()
    with pytest.raises(NotMovieLensError, match=r"Found links in links\.csv, movies in movies\.csv"):
        dataset_in(tmp_path)


def test_two_data_sets_in_one_folder_are_refused(tmp_path: Path) -> None:
    write_csv(tmp_path / "a")
    write_csv(tmp_path / "b")
    with pytest.raises(NotMovieLensError, match=r"more than one data set \(a/ratings\.csv, b/ratings\.csv\)"):
        dataset_in(tmp_path)


@pytest.mark.parametrize("content", [None, b"", b"no zip file at all"])
def test_a_path_that_is_neither_folder_nor_zip_is_refused(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "data.zip"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(NotMovieLensError, match="does not exist" if content is None else "neither a folder"):
        dataset_in(path)


def test_a_damaged_zip_file_is_named(tmp_path: Path) -> None:
    archive = zipped(write_csv(tmp_path / "folder"), tmp_path / "data.zip", "")
    content = bytearray(archive.read_bytes())
    content[40:60] = bytes(20)
    archive.write_bytes(content)
    with pytest.raises(FileError, match=r"links\.csv can't be"):
        dataset_in(archive)


def test_a_pipe_is_no_data_set_and_is_not_waited_for(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(NotMovieLensError, match="neither a folder nor a complete zip file"):
        dataset_in(pipe)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"r\xc3\xa9.csv", b"\0\xc3\xa9.csv"),
        (b"r\xc3\xa9.csv", b"r\xff\xa9.csv"),
        (b"\x5d\0\0", b"\xff\xff\xff"),
    ],
    ids=["no name", "undecodable name", "content"],
)
def test_a_damaged_zip_file_ends_in_one_sentence(tmp_path: Path, old: bytes, new: bytes) -> None:
    path = tmp_path / "ml.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr("movies.csv", "movieId,title,genres\n1,Heat (1995),Crime\n")
        archive.writestr("r\u00e9.csv", "userId,movieId,rating,timestamp\n1,1,4,5\n")
    assert old in path.read_bytes()
    path.write_bytes(path.read_bytes().replace(old, new))
    with pytest.raises((FileError, NotMovieLensError)):
        dataset_in(path)
