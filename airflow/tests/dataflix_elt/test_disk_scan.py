"""The search of ClickHouse's files finds each of thousands of texts, in one pass."""

import os
import random
from pathlib import Path

import pytest

from dataflix_elt.erasure import disk_scan
from dataflix_elt.erasure.disk_scan import scan


def _hexadecimal(dice: random.Random, length: int) -> bytes:
    return bytes(dice.choice(b"0123456789abcdef") for _ in range(length))


@pytest.mark.parametrize("around", [b"", b"@", b"\0\xff", b"ab", b"0123456789abcdef" * 20])
def test_one_of_thousands_is_found_whatever_is_around_it(tmp_path: Path, around: bytes) -> None:
    dice = random.Random(1)
    texts = [_hexadecimal(dice, 64) for _ in range(3000)]
    (tmp_path / "file").write_bytes(around + texts[-1] + around)
    (tmp_path / "other").write_bytes(around + texts[-1][:-1] + b"x" + _hexadecimal(dice, 64) + around)

    result = scan(tmp_path, texts)

    assert result.found == [tmp_path / "file"]
    assert result.files == 2


def test_texts_of_other_letters_and_lengths_are_found_as_python_finds_them(tmp_path: Path) -> None:
    dice = random.Random(2)
    for _ in range(200):
        letters = bytes(dice.sample(range(256), dice.randint(1, 4)))
        texts = [
            bytes(dice.choice(letters) for _ in range(dice.randint(1, 6))) for _ in range(dice.randint(0, 4))
        ]
        content = bytes(dice.choice(letters + b"\0") for _ in range(dice.randint(0, 30)))
        (tmp_path / "file").write_bytes(content)
        assert bool(scan(tmp_path, texts).found) == any(text in content for text in texts), (texts, content)


def test_a_text_on_the_border_of_two_pieces_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(disk_scan, "_PIECE_BYTES", 100)
    text = _hexadecimal(random.Random(3), 64)
    for before in range(30, 110, 7):
        (tmp_path / "file").write_bytes(b"." * before + text + b".")
        assert scan(tmp_path, [text]).found


def test_a_folder_that_vanishes_meanwhile_is_skipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "file").write_bytes(b"pseudonym")
    (tmp_path / "gone").mkdir()
    listed = os.scandir

    def vanishing(path: str) -> object:
        if Path(path).name == "gone":
            Path(path).rmdir()
        return listed(path)

    monkeypatch.setattr(os, "scandir", vanishing)
    assert scan(tmp_path, [b"pseudonym"]).found == [tmp_path / "kept" / "file"]
    assert not (tmp_path / "gone").exists()


def test_a_folder_that_cannot_be_read_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "locked").mkdir()
    listed = os.scandir

    def refusing(path: str) -> object:
        if Path(path).name == "locked":
            raise PermissionError(13, "Permission denied", path)
        return listed(path)

    # Root may read everything, so the refusal is made here.
    monkeypatch.setattr(os, "scandir", refusing)
    with pytest.raises(PermissionError):
        scan(tmp_path, [b"pseudonym"])
