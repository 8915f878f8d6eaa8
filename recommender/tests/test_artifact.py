"""The artifact on disk: loading returns what was saved, and a damaged artifact is refused."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from dataflix_recommender import ArtifactError, History, InvalidModelError, Item, ItemCatalogue, Model
from dataflix_recommender.data.artifact import read_manifest, write_artifact

ModelFactory = Callable[..., Model]

FILES = (
    "manifest.json",
    "item_ids.npy",
    "item_factors.npy",
    "gram.npy",
    "weights.npy",
    "titles.npy",
    "title_offsets.npy",
    "genre_codes.npy",
    "genre_offsets.npy",
    "release_years.npy",
    "ratings_counts.npy",
    "mean_ratings.npy",
    "bayesian_means.npy",
    "trending_scores.npy",
    "durations.npy",
    "events_counts.npy",
    "link_offsets.npy",
    "link_items.npy",
    "link_values.npy",
    "recent_popularity.npy",
)


@pytest.fixture
def saved(model: Model, tmp_path: Path) -> Path:
    path = tmp_path / "artifact"
    model.save(path)
    return path


def rewrite(path: Path, model: Model, name: str, array: np.ndarray) -> Path:
    """Write an artifact with right hashes whose array ``name`` is replaced."""
    manifest = read_manifest(path)
    arrays = {file: np.load(path / f"{file}.npy") for file in manifest["files"]} | {name: array}
    other = path.with_name("rewritten")
    write_artifact(other, arrays, {"info": manifest["info"], "genre_names": manifest["genre_names"]})
    return other


def test_a_loaded_model_recommends_as_the_saved_one(model: Model, saved: Path) -> None:
    loaded = Model.load(saved)
    history = History([10, 50, 70], [3.0, 1.5, -1.0], [5.0, 3.5, 1.5])
    assert loaded.recommend(history, 10) == model.recommend(history, 10)
    assert loaded.similar(20, 5) == model.similar(20, 5)
    assert loaded.info == model.info
    assert loaded.catalogue.genres(1) == ("Drama", "Crime")
    assert loaded.catalogue.release_year(0) is None
    assert loaded.catalogue.release_year(1) == 1951
    assert loaded.weights.weight(4.5, liked=True) == 3.5


@pytest.mark.parametrize("damage", ["truncated", "overwritten", "removed"])
def test_what_happens_to_the_files_after_the_load_changes_nothing(saved: Path, damage: str) -> None:
    # In a process of its own: with mapped arrays a truncated file ended it by SIGBUS.
    code = (
        "import os, sys\nfrom pathlib import Path\nfrom dataflix_recommender import History, Model\n"
        "folder, damage = Path(sys.argv[1]), sys.argv[2]\nhistory = History([10], [1.0])\n"
        "model = Model.load(folder)\nbefore = model.recommend(history, 10), model.similar(20, 5)\n"
        "for file in folder.iterdir():\n"
        "    if damage == 'truncated': os.truncate(file, 0)\n"
        "    elif damage == 'removed': file.unlink()\n"
        "    else:\n"
        "        with file.open('r+b') as stream: stream.write(b'\\x07' * file.stat().st_size)\n"
        "assert (model.recommend(history, 10), model.similar(20, 5)) == before\n"
        "print(len(model.popular(3)), model.catalogue.title(1) != '')"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, saved, damage], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout.split()) == (0, ["3", "True"]), done.stderr


def test_arrays_cannot_be_written_to(saved: Path) -> None:
    loaded = Model.load(saved)
    with pytest.raises(ValueError, match="read-only"):
        loaded.item_factors[0, 0] = 1


def test_the_artifact_has_these_files_and_none_about_users(saved: Path) -> None:
    assert {file.name for file in saved.iterdir()} == set(FILES)


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("damage", ["missing", "truncated", "flipped", "empty"])
def test_a_damaged_file_is_refused_and_named(saved: Path, name: str, damage: str) -> None:
    file = saved / name
    content = bytearray(file.read_bytes())
    if damage == "missing":
        file.unlink()
    elif damage == "truncated":
        file.write_bytes(content[: len(content) // 2])
    elif damage == "empty":
        file.write_bytes(b"")
    else:
        # Change the last digit or byte: the file is still readable, with another value.
        position = max(i for i, byte in enumerate(content) if name != "manifest.json" or chr(byte).isdigit())
        content[position] ^= 1
        file.write_bytes(content)
    with pytest.raises(ArtifactError) as caught:
        Model.load(saved)
    assert caught.value.file.name == name
    assert caught.value.reason in str(caught.value)


@pytest.mark.parametrize(
    ("name", "array", "reason"),
    [
        ("item_ids", np.arange(40, dtype=np.int64)[::-1], "sorted and unique"),
        ("item_ids", np.repeat(np.arange(20, dtype=np.int64), 2), "sorted and unique"),
        ("item_ids", np.arange(39, dtype=np.int64), "item_factors must be"),
        ("item_factors", np.zeros((40, 5), dtype=np.float32), "item_factors must be"),
        ("item_factors", np.zeros((40, 6), dtype=np.float64), "item_factors must be"),
        ("item_factors", np.full((40, 6), np.nan, dtype=np.float32), "NaN or infinite"),
        ("item_factors", np.full((40, 6), np.inf, dtype=np.float32), "NaN or infinite"),
        ("gram", np.eye(5), "gram must be"),
        ("weights", np.zeros((1, 3), dtype=np.float32), "weight"),
        ("title_offsets", np.zeros(41, dtype=np.int64), "offsets do not cover"),
        ("genre_codes", np.full(60, 9, dtype=np.int16), "a code has no name"),
        ("mean_ratings", np.zeros(3, dtype=np.float32), "mean_ratings must have 40"),
    ],
)
def test_intact_files_that_do_not_fit_together_are_refused(
    model: Model, saved: Path, name: str, array: np.ndarray, reason: str
) -> None:
    with pytest.raises(ArtifactError, match=reason):
        Model.load(rewrite(saved, model, name, array))


def test_another_format_version_is_refused(saved: Path) -> None:
    manifest = saved / "manifest.json"
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | {"format_version": 99}))
    with pytest.raises(ArtifactError, match="format version 99"):
        Model.load(saved)


@pytest.mark.parametrize(
    "content",
    [
        b"[" * 100_000,
        b'{"format_version": 3, "info": {"alpha": NaN}}',
        b'{"format_version": 3, "checksum": -Infinity}',
        b'{"format_version": ' + b"9" * 5000 + b"}",
        b'{"format_version": 3}',
        b'"\\ud800"',
        b"\xef\xbb\xbf{}",
        b"\xff\xfe",
        b"null",
        b"",
    ],
)
def test_a_manifest_that_is_no_manifest_is_a_damaged_artifact(saved: Path, content: bytes) -> None:
    (saved / "manifest.json").write_bytes(content)
    with pytest.raises(ArtifactError, match=r"manifest\.json"):
        Model.load(saved)


def test_an_artifact_is_never_overwritten(model: Model, saved: Path) -> None:
    before = (saved / "manifest.json").read_bytes()
    with pytest.raises(ArtifactError, match="already exists"):
        model.save(saved)
    assert (saved / "manifest.json").read_bytes() == before


def test_a_failed_write_leaves_nothing(model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_space(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "save", no_space)
    with pytest.raises(OSError, match="No space left"):
        model.save(tmp_path / "artifact")
    assert list(tmp_path.iterdir()) == []


def test_a_catalogue_without_genres_can_be_saved_and_loaded(make_model: ModelFactory, tmp_path: Path) -> None:
    bare = make_model(np.eye(3), items=[Item(i, "") for i in (1, 2, 3)])
    bare.save(tmp_path / "artifact")
    loaded = Model.load(tmp_path / "artifact")
    assert [loaded.catalogue.genres(i) for i in range(3)] == [(), (), ()]
    assert loaded.catalogue.title(2) == ""


def test_titles_keep_all_characters() -> None:
    titles = ["Amélie", "千と千尋の神隠し", "", 'Quote " and\nnewline']
    catalogue = ItemCatalogue.from_items([Item(i, title) for i, title in enumerate(titles)])
    assert [catalogue.title(i) for i in range(4)] == titles


def test_a_model_without_items_is_refused(make_model: ModelFactory) -> None:
    with pytest.raises(InvalidModelError, match="at least one item"):
        make_model(np.zeros((0, 3)), items=[])
