"""Every layout of ratings that is read, and what is said of files that are none."""

import io
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataflix_trainer.data.ratings import factorize
from dataflix_trainer.data.ratings_file import read_ratings
from dataflix_trainer.errors import DataError

# user, item, rating, seconds; one item is rated twice by one user: the later one counts.
ROWS = [(7, 30, 4.0, 100), (7, 10, 3.5, 200), (9, 10, 5.0, 300), (9, 20, 0.5, 400), (7, 30, 2.0, 50)]
FRAME = pd.DataFrame(ROWS, columns=["userId", "movieId", "rating", "timestamp"])
CSV = FRAME.to_csv(index=False).encode()
DAT = b"".join(f"{u}::{i}::{r:g}::{t}\n".encode() for u, i, r, t in ROWS)
WHOLE = FRAME.assign(rating=FRAME.rating.round().clip(lower=1).astype(int))
UDATA = WHOLE.to_csv(index=False, header=False, sep="\t").encode()


def parquet(frame: pd.DataFrame) -> bytes:
    stream = io.BytesIO()
    frame.to_parquet(stream)
    return stream.getvalue()


def check(path: Path, stars: list[float]) -> None:
    ratings = read_ratings(path)
    assert ratings.shape == (2, 3)
    assert list(zip(ratings.users.tolist(), ratings.items.tolist(), strict=True)) == [
        (0, 0), (0, 2), (1, 0), (1, 1)
    ]  # fmt: skip
    assert ratings.stars.tolist() == stars
    assert ratings.times.tolist() == [200_000_000, 100_000_000, 300_000_000, 400_000_000]
    assert ratings.facts["duplicates_left_out"] == 1


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize(
    ("name", "content", "stars"),
    [
        ("ml-latest-small/ratings.csv", CSV, [3.5, 4, 5, 0.5]),
        ("ml-20m/ratings.csv", b"\xef\xbb\xbf" + CSV.replace(b"\n", b"\r\n"), [3.5, 4, 5, 0.5]),
        ("ml-10M100K/ratings.dat", DAT, [3.5, 4, 5, 0.5]),
        ("ml-1m/ratings.dat", DAT.replace(b"\n", b"\r\n"), [3.5, 4, 5, 0.5]),
        ("ml-100k/u.data", UDATA, [4, 4, 5, 1]),
    ],
)
def test_movielens_is_read_from_folders_and_zip_files(
    tmp_path: Path, name: str, content: bytes, stars: list[float], packed: bool
) -> None:
    others = {
        "ml/README.txt": b"About this data set\nuser, item, rating, timestamp\n",
        "ml/movies.csv": b"movieId,title,genres\n10,Heat (1995),Action\n",
        "ml/u1.base": UDATA,  # ml-100k holds its ratings whole and split in parts
        "__MACOSX/ml/ratings.csv": CSV,
    }
    if packed:
        path = tmp_path / "data.zip"
        with zipfile.ZipFile(path, "w") as archive:
            for member, data in (others | {name: content}).items():
                archive.writestr(member, data)
    else:
        path = tmp_path / "data"
        del others["__MACOSX/ml/ratings.csv"]
        for member, data in (others | {name: content}).items():
            (path / member).parent.mkdir(parents=True, exist_ok=True)
            (path / member).write_bytes(data)
    check(path, stars)


@pytest.mark.parametrize(
    "columns",
    [
        ["user", "item", "rating", "timestamp"],
        ["USER_ID", "Item_ID", "Rating", "TimeStamp"],
        ["user_id:token", "item_id:token", "rating:float", "timestamp:float"],
        ["UserId", "ProductId", "Score", "Time"],
    ],
)
@pytest.mark.parametrize("kind", ["csv", "tab", "parquet"])
def test_usual_column_names_are_understood_in_any_order(
    tmp_path: Path, columns: list[str], kind: str
) -> None:
    frame = FRAME.set_axis(columns, axis=1)[[columns[2], columns[0], columns[3], columns[1]]]
    frame.insert(1, "comment", "nothing")
    path = tmp_path / f"mine.{kind}"
    if kind == "parquet":
        path.write_bytes(parquet(frame))
    else:
        frame.to_csv(path, index=False, sep="\t" if kind == "tab" else ",")
    check(path, [3.5, 4, 5, 0.5])


def test_ids_may_be_texts_and_times_dates(tmp_path: Path) -> None:
    frame = FRAME.assign(
        userId=FRAME.userId.map("u{}".format),
        movieId=FRAME.movieId.map("m{}".format),
        timestamp=pd.to_datetime(FRAME.timestamp, unit="s"),
    )
    for path, content in (
        (tmp_path / "a.csv", frame.to_csv(index=False).encode()),
        (tmp_path / "a.parquet", parquet(frame)),
        (tmp_path / "b.parquet", parquet(frame.assign(timestamp=frame.timestamp.dt.tz_localize("UTC")))),
    ):
        path.write_bytes(content)
        check(path, [3.5, 4, 5, 0.5])


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", b"a,b\n1,2\n", "no ratings in a known layout"),
        ("a.csv", b"", "no ratings in a known layout"),
        ("a.csv", b"userId,movieId,rating,timestamp\n", "holds no rating"),
        ("a.csv", CSV + b"1,2,3\n", "Expected 4 columns, got 3"),
        ("a.csv", CSV + b"1,2,x,3\n", "rating is not a number"),
        ("a.csv", CSV + b"1,2,4.0,soon\n", "neither seconds since 1970 nor a date"),
        ("a.csv", CSV + CSV.partition(b"\n")[2] * 30 + b"1,2,6,3\n", "1 of 156 ratings are off the scale"),
        ("a.csv", CSV + b"1,2,nan,3\n", "rating"),
        ("a.csv", CSV + b",2,4,3\n", "1 rows have no user"),
        ("a.parquet", parquet(FRAME.drop(columns="movieId")), "one column each"),
        ("a.parquet", parquet(FRAME)[:-9], "can't be read"),
        ("a.zip", b"PK\x03\x04 and no more", "no ratings in a known layout"),
    ],
)
def test_files_that_are_no_ratings_are_refused_with_the_reason(
    tmp_path: Path, name: str, content: bytes, message: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=message):
        read_ratings(tmp_path / name)


@given(st.lists(st.integers(-5, 2**40) | st.integers(0, 20), min_size=1))
def test_ids_are_numbered_in_their_order(ids: list[int]) -> None:
    different = sorted(set(ids))
    assert factorize(np.array(ids)).tolist() == [different.index(one) for one in ids]


def test_what_is_not_there_or_not_clear_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="does not exist"):
        read_ratings(tmp_path / "none")
    with pytest.raises(DataError, match="no ratings in a known layout"):
        read_ratings(tmp_path)
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "ratings.csv").write_bytes(CSV)
    with pytest.raises(DataError, match=r"several files of ratings \(one/ratings.csv, two/ratings.csv\)"):
        read_ratings(tmp_path)


def test_the_real_edition_is_read(movielens: Path) -> None:
    ratings = read_ratings(movielens)
    assert len(ratings) == 100_836
    assert ratings.shape == (610, 9_724)
