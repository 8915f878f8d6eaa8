"""Files as programs write them arrive; what does not is refused with the value that is wrong."""

from pathlib import Path
from typing import Any

import pytest
from psycopg2.extensions import connection as Connection  # noqa: N812

from dataflix_loader.movielens.command import main
from dataflix_loader.movielens.fields import MAX_ID
from dataflix_testkit.oltp import contents, fetch, stored_ratings

MOVIES = "movieId,title,genres\n1,Toy Story (1995),Adventure|Animation\n2,Heat (1995),Crime\n"
LINKS = "movieId,imdbId,tmdbId\n"
RATINGS = "userId,movieId,rating,timestamp\n"
ROW = "1,1,3.5,964982703\n"
STORED = [(1, 1, 3.5, 964982703)]
CYRILLIC = "\u0421\u0442\u0430\u043b\u043a\u0435\u0440"


def write(
    folder: Path, *, ratings: str | bytes = ROW, movies: str | bytes = MOVIES, links: str | bytes = ""
) -> Path:
    folder.mkdir(exist_ok=True)
    if isinstance(ratings, str) and "serId" not in ratings:
        ratings = RATINGS + ratings
    for name, content in (("movies", movies), ("links", LINKS + str(links)), ("ratings", ratings)):
        raw = content if isinstance(content, bytes) else content.encode()
        (folder / f"{name}.csv").write_bytes(raw)
    return folder


@pytest.mark.parametrize(
    "content",
    [
        "01,0001,3.5,964982703\n",
        "1,1,3.50,964982703\n",
        "1,1,3.5000,0964982703\n",
        "1.0,1.0,3.5,964982703.0\n",
        "1,1,+3.5e0,964982703\n",
        " 1 , 1 , 3.5 , 964982703 \n",
        "\t1,\t1,3.5,964982703\n",
        '"1","1","3.5","964982703"\n',
        '"1" , "1", "3.5" ,"964982703"\n',
        "1,1,3.5,964982703,\n",
        "1,1,3.5,964982703,,,\n",
        ROW + "\n",
        "\n" + ROW + "\r\n  \n\t\r\n",
        ROW + ",,,\n",
        ROW + "\x1a",
        ROW.replace("\n", "\r\r\n"),
        "\ufeff" + ROW,
        "\ufeff" + RATINGS.replace("\n", "\r\n") + ROW,
        RATINGS + RATINGS + ROW + RATINGS.replace("\n", "\r\n"),
        '"userId","movieId","rating","timestamp"\n' + ROW,
        "userId,movieId,rating,timestamp,,\n" + ROW,
        " userId,\tmovieId, rating ,timestamp\n" + ROW,
        ROW.removesuffix("\n"),
    ],
)
def test_ratings_as_programs_write_them(database: Connection, tmp_path: Path, content: str) -> None:
    assert main([str(write(tmp_path, ratings=content)), "--quiet"]) == 0
    assert stored_ratings(database) == STORED


@pytest.mark.parametrize(
    ("row", "complaint"),
    [
        ("1,1,3.3,5", "rating out of range: '3.3' must be in half steps"),
        ("1,1,0,5", "rating out of range: '0' must be 0.5 to 5 in half steps; --scale 10 reads"),
        ("1,1,99,5", "rating out of range: '99' must be 0.5 to 5 in half steps."),
        ("1,1,3;5,5", "bad rating: '3;5' is not a number"),
        ("1,1,1e999,5", "rating out of range: '1e999' must be"),
        ("1,1,nan,5", "bad rating: 'nan' is not a number"),
        ("1,1,4,964982703000", "bad time: '964982703000' is after the year 2286; it must be seconds"),
        ("1,1,4,1.5", "bad time: '1.5' must be a whole number"),
        ("1,1,4,9.65E+08", "bad time: '9.65E+08' must be a whole number; a program rounded it"),
        ("1,1,4,-5", "bad time: '-5' must not be negative"),
        ("-7,1,4,5", "bad user id: '-7' must not be negative"),
        ("1,1,4,", "bad time: '' must be a whole number; the field is empty"),
        ("1.09951E+18,1,4,5", "bad user id: '1.09951E+18' must be a whole number; a program rounded it"),
        ("000,1,4,5", "bad user id: '000' must be above 0"),
        (f"{MAX_ID + 1},1,4,5", f"bad user id: '{MAX_ID + 1}' is larger than {MAX_ID}"),
        ("9" * 5000 + ",1,4,5", "bad user id: '9999999999"),
        ("\u0661,1,4,5", "bad user id: '\u0661' must be a whole number"),
        ("1,1,4,5,6", "wrong number of fields: 5 instead of 4"),
        ('"1,1,4,5', "bad quotes"),
        ('1,1,"4"x,5', "bad quotes"),
    ],
)
def test_a_refusal_says_what_is_wrong_with_the_value(
    database: Connection, tmp_path: Path, capsys: pytest.CaptureFixture[str], row: str, complaint: str
) -> None:
    before = contents(database)
    folder = write(tmp_path, ratings=ROW + row + "\n")
    assert main([str(folder), "--quiet"]) == 1
    assert f"ratings.csv, line 3: {complaint}" in capsys.readouterr().err
    assert contents(database) == before
    assert main([str(folder), "--quiet", "--rejects", str(tmp_path / "rejects.csv")]) == 0
    assert stored_ratings(database) == STORED


@pytest.mark.parametrize("user", [1099511627776123456, 9148955329465708066, MAX_ID - 1, MAX_ID])
def test_ids_are_read_up_to_the_largest_bigint(database: Connection, tmp_path: Path, user: int) -> None:
    movies = f"movieId,title,genres\n{user},Toy Story (1995),Adventure\n2,Heat (1995),Crime\n"
    links = f"{user},1,{user}\n"
    rows = f"{user},2,4,964982703\n1,{user},4,5\n{user},{user},4,6\n"
    assert main([str(write(tmp_path, movies=movies, links=links, ratings=rows)), "--quiet"]) == 0
    assert stored_ratings(database) == [(1, user, 4, 5), (user, 2, 4, 964982703), (user, user, 4, 6)]
    assert fetch(database, "SELECT tmdb_id FROM movies ORDER BY tmdb_id NULLS LAST LIMIT 1") == [(user,)]
    with database.cursor() as cursor:
        # The application can still add rows.
        cursor.execute("INSERT INTO users (username, email) VALUES ('ann', 'ann@example.com')")
        cursor.execute("INSERT INTO movies (title) VALUES ('New')")


@pytest.mark.parametrize(
    ("fields", "stored"),
    [
        ("tt0114709,862", ("tt0114709", 862)),
        ("TT0114709, 862", ("tt0114709", 862)),
        ("114709.0,862.0", ("tt0114709", 862)),
        ("0114709,", ("tt0114709", None)),
        ("NA,NaN", (None, None)),
        ("NULL,\\N", (None, None)),
        ("12345678,862,,", ("tt12345678", 862)),
        ('"0114709","862"', ("tt0114709", 862)),
    ],
)
def test_links_as_programs_write_them(
    database: Connection, tmp_path: Path, fields: str, stored: tuple[object, object]
) -> None:
    assert main([str(write(tmp_path, links=f"1,{fields}\n\n")), "--quiet"]) == 0
    assert fetch(database, "SELECT imdb_id, tmdb_id FROM movies WHERE movie_id = 1") == [stored]


@pytest.mark.parametrize(
    ("line", "title"),
    [
        (b"1,Schindler\x92s List (1993),Drama", "Schindler\u2019s List"),
        (b"1,Ocean\x92s \x93Eleven\x94 \x96 d\xe9j\xe0 (2001),Crime",
         "Ocean\u2019s \u201cEleven\u201d \u2013 d\u00e9j\u00e0"),
        (b"1,\x80uro\x85 (2001),Crime", "\u20acuro\u2026"),
        ("1,Ame\u0301lie (2001),Comedy".encode(), "Am\u00e9lie"),
        ("1,A\u030angstrom (2001),Comedy".encode(), "\u00c5ngstrom"),
        (f"1,{CYRILLIC} (1979),Drama".encode(), CYRILLIC),
        ("1,\ufeffHeat (1995),Drama".encode(), "Heat"),
        (b'1 , "American President, The (1995)" , Drama ', "The American President"),
    ],
)  # fmt: skip
def test_titles_are_decoded_and_composed(
    database: Connection, tmp_path: Path, line: bytes, title: str
) -> None:
    movies = b"movieId,title,genres\n" + line + b"\n"
    assert main([str(write(tmp_path, movies=movies)), "--quiet"]) == 0
    assert fetch(database, "SELECT title FROM movies") == [(title,)]


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        (b"1,Bad \x81 byte (1999),A", "bad encoding: byte 81 at 7 is not cp1252"),
        ("1,\u00c9t\u00e9 (1999),A\n9,Am".encode() + b"\xe9lie (2001),A",
         "bad encoding: byte e9 at 5 is not utf-8, as other lines of the file are"),
        ("1,Evil \u202e eltit (1999),A".encode(), "control character: U+202E"),
        (b"1,Bell \x07 (1999),A", "control character: U+0007"),
        (b"1,Escape \x1b[31m (1999),A", "control character: U+001B"),
        ("1,Next\u0085line (1999),A".encode(), "control character: U+0085"),
        (b"1,Title (1999),Dra\x07ma", "control character: U+0007"),
    ],
)  # fmt: skip
def test_text_that_nobody_could_read_is_refused(
    database: Connection, tmp_path: Path, capsys: pytest.CaptureFixture[str], line: bytes, complaint: str
) -> None:
    movies = b"movieId,title,genres\n" + line + b"\n"
    assert main([str(write(tmp_path, movies=movies)), "--quiet"]) == 1
    assert complaint in capsys.readouterr().err


@pytest.mark.parametrize(
    ("encoding", "text"),
    [
        ("cp1251", CYRILLIC),
        ("koi8-r", CYRILLIC),
        ("cp866", CYRILLIC),
        ("cp437", "Am\u00e9lie"),
        ("mac-roman", "Am\u00e9lie"),
        ("gbk", "\u9738\u738b\u522b\u59ec"),
        ("cp1253", "\u0391\u03b8\u03ae\u03bd\u03b1"),
    ],
)
def test_another_encoding_is_refused_and_not_read_as_cp1252(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], database: Connection, encoding: str, text: str
) -> None:
    movies = f"movieId,title,genres\n1,{text} (1979),Drama\n".encode(encoding)
    assert main([str(write(tmp_path, movies=movies)), "--quiet"]) == 1
    assert "movies.csv is neither UTF-8 nor cp1252" in capsys.readouterr().err
    assert fetch(database, "SELECT FROM movies") == []


@pytest.mark.parametrize(
    "titles",
    [
        ["Am\u00e9lie"],
        [
            "\u0152uvre",
            "L\u2019\u00e9t\u00e9",
            "Voil\u00e0 \u2014 fin\u2026",
            "\u00bfQu\u00e9?",
            "\u00abOui\u00bb",
        ],
        [
            "S\u00e5",
            "Fr\u00e4ulein",
            "El Ni\u00f1o",
            "\u00de\u00f3r",
            "Bl\u00f3\u00f0\u00f6xi",
            "WALL\u00b7E",
        ],
    ],
)
@pytest.mark.parametrize("encoding", ["cp1252", "utf-8"])
def test_western_titles_are_read_in_both_encodings(
    tmp_path: Path, database: Connection, titles: list[str], encoding: str
) -> None:
    lines = "".join(f"{number},{title},Drama\n" for number, title in enumerate(titles, start=1))
    movies = ("movieId,title,genres\n" + lines).encode(encoding)
    assert main([str(write(tmp_path, movies=movies)), "--quiet"]) == 0
    assert fetch(database, "SELECT title FROM movies ORDER BY movie_id") == [(title,) for title in titles]


@pytest.mark.parametrize("above", ["\n", " \r\n,,\n", "sep=,\n", '"sep=,"\r\n', "\ufeff\ufeff"])
def test_lines_above_the_header_are_skipped(database: Connection, tmp_path: Path, above: str) -> None:
    folder = write(tmp_path, movies=above + MOVIES, ratings=above + RATINGS + ROW)
    assert main([str(folder), "--quiet"]) == 0
    assert stored_ratings(database) == STORED


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_wide_encodings_are_named(
    tmp_path: Path, database: Connection, capsys: pytest.CaptureFixture[str], encoding: str
) -> None:
    folder = write(tmp_path, movies=MOVIES.encode(encoding), ratings=(RATINGS + ROW).encode(encoding))
    assert main([str(folder), "--quiet"]) == 1
    assert "movies.csv is encoded in UTF-16 or UTF-32: save it as UTF-8" in capsys.readouterr().err


def test_a_title_that_nobody_sees_is_empty(
    tmp_path: Path, database: Connection, capsys: pytest.CaptureFixture[str]
) -> None:
    movies = "movieId,title,genres\n1,\u200b\u200e,Drama\n"
    assert main([str(write(tmp_path, movies=movies)), "--quiet"]) == 1
    assert "line 2: empty title" in capsys.readouterr().err


def test_empty_and_repeated_genres_are_dropped(database: Connection, tmp_path: Path) -> None:
    movies = "movieId,title,genres\n1,Heat (1995),Crime|| Drama |Crime\n"
    assert main([str(write(tmp_path, movies=movies)), "--quiet"]) == 0
    assert fetch(database, "SELECT genres FROM movies") == [(["Crime", "Drama"],)]


@pytest.mark.parametrize("way", ["option", "setting"])
def test_ratings_from_0_to_10_are_read_when_asked_for(
    database: Connection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    (tmp_path / "movies.dat").write_text(
        "0000008::Edison's Sneeze (1894)::Documentary|Short\n25::Boat Race::\n"
    )
    rows = "1::0000008::7::1365029107\n2::25::10::5\n3::8::0::6\n4::8::1.0::7\n\n"
    (tmp_path / "ratings.dat").write_text(rows)
    (tmp_path / "users.dat").write_text("1::139564917\n2::17528189\n")
    assert main([str(tmp_path), "--quiet"]) == 1
    if way == "setting":
        monkeypatch.setenv("DATAFLIX_RATING_SCALE", "10")
    assert main([str(tmp_path), "--quiet", *(["--scale", "10"] if way == "option" else [])]) == 0
    assert stored_ratings(database) == [
        (1, 8, 3.5, 1365029107),
        (2, 25, 5, 5),
        (3, 8, 0.5, 6),
        (4, 8, 0.5, 7),
    ]
    assert fetch(database, "SELECT release_year FROM movies ORDER BY movie_id") == [(1894,), (None,)]


@pytest.mark.parametrize("rating", ["11", "7.5", "-1", "x"])
def test_ratings_outside_of_the_larger_scale_are_refused(
    database: Connection, tmp_path: Path, capsys: pytest.CaptureFixture[str], rating: str
) -> None:
    assert main([str(write(tmp_path, ratings=f"1,1,{rating},5\n")), "--scale", "10"]) == 1
    assert f"{rating!r}" in capsys.readouterr().err


def test_a_wrong_scale_in_the_settings_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATAFLIX_POSTGRES_ADMIN_PASSWORD", "x" * 16)
    monkeypatch.setenv("DATAFLIX_RATING_SCALE", "7")
    assert main([str(write(tmp_path))]) == 3
    assert "DATAFLIX_RATING_SCALE must be 5 or 10, not '7'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ((RATINGS + ROW).encode("utf-16"), "ratings.csv is encoded in UTF-16 or UTF-32: save it as UTF-8"),
        ((RATINGS + ROW).replace(",", ";"), "ratings.csv is separated by semicolons: save it with commas"),
        ((RATINGS + ROW).replace(",", "\t"), "ratings.csv is separated by tabs: save it with commas"),
        ((RATINGS + ROW).replace("\n", "\r"), "ratings.csv ends its lines with CR alone"),
        (
            "," + RATINGS + "0," + ROW,
            "ratings.csv begins with the columns ',userId,movieId,rating,timestamp'",
        ),
        ("movieId,userId,rating,timestamp\n" + ROW, "begins with the columns 'movieId,userId,rating"),
        (
            "userId,movieId,rating,rating,timestamp\n1,1,4,4,5\n",
            "begins with the columns 'userId,movieId,rating,r",
        ),
    ],
)
def test_a_file_that_is_nearly_right_is_named_with_what_to_change(
    database: Connection,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    content: str | bytes,
    complaint: str,
) -> None:
    assert main([str(write(tmp_path, ratings=content)), "--quiet"]) == 1
    assert complaint in capsys.readouterr().err
    assert fetch(database, "SELECT count(*) FROM movies") == [(0,)]


# Each rule of the four tables, and what keeps an import from breaking it.
RULES = {
    "users_user_id_positive": "parse_id",
    "users_username_form": "invented",
    "users_email_form": "invented",
    "users_first_name_length": "invented",
    "users_last_name_length": "invented",
    "users_city_length": "invented",
    "users_state_length": "invented",
    "users_country_length": "invented",
    "users_birth_year_range": "birth_year",
    "movies_movie_id_positive": "parse_id",
    "movies_title_form": "movie_parser",
    "movies_genres_form": "_genres",
    "movies_release_year_range": "parse_title, movie_parser",
    "movies_duration_minutes_positive": "not imported",
    "movies_imdb_id_form": "parse_imdb_id",
    "movies_tmdb_id_positive": "parse_id",
    "ratings_rating_half_steps": "parse_half_stars",
    # Times from 1970 to 2286 are inside the range of all times of the tables.
    **{f"{table}_created_at_range": "parse_seconds" for table in ("users", "movies")},
    **{
        f"{table}_updated_at_range": "set by the database"
        for table in ("users", "movies", "ratings", "watched_movies")
    },
    "ratings_rated_at_range": "parse_seconds",
    "watched_movies_watched_at_range": "parse_seconds",
}


def test_every_rule_of_the_tables_is_known_to_the_importer(database: Connection) -> None:
    rules = fetch(
        database,
        "SELECT conname FROM pg_constraint WHERE contype = 'c' AND conrelid = ANY("
        "ARRAY['users', 'movies', 'ratings', 'watched_movies']::regclass[])",
    )
    assert {name for (name,) in rules} <= RULES.keys()


def write_100k(folder: Path, *, age: str = "24", date: str = "01-Jan-1995", seconds: int = 881250949) -> Path:
    (folder / "u.data").write_text(f"1\t1\t4\t{seconds}\n2\t1\t4\t881250949\n")
    (folder / "u.item").write_text(f"1|Toy Story|{date}||x|" + "|".join("0" * 19) + "\n")
    (folder / "u.user").write_text(f"1|{age}|M|retired|00000\n2|24|M|x|1\n")
    return folder


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        (
            {"age": "99"},
            "u.user, line 1: bad age: 99 in 1997 gives the birth year 1898; it must be 1900 to 2100",
        ),
        ({"age": "71", "seconds": 5}, "u.user, line 1: bad age: 71 in 1970 gives the birth year 1899"),
        ({"age": "9", "seconds": 9999999999}, "u.user, line 1: bad age: 9 in 2286 gives the birth year 2277"),
        ({"date": "01-Jan-1777"}, "u.item, line 1: bad year: 1777 must be 1870 to 2100"),
    ],
)
def test_rules_that_need_more_than_a_field_name_file_and_line(
    database: Connection,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    changes: dict[str, Any],
    complaint: str,
) -> None:
    folder = write_100k(tmp_path, **changes)
    assert main([str(folder), "--quiet"]) == 1
    assert complaint in capsys.readouterr().err
    if "age" in changes:
        rejects = tmp_path / "rejects.csv"
        assert main([str(folder), "--quiet", "--rejects", str(rejects)]) == 0
        assert rejects.read_text().splitlines()[1].startswith("u.user,1,")
        assert fetch(database, "SELECT count(*) FROM users") == [(2,)]


@pytest.mark.parametrize("seconds", [0, 1, 4_102_444_800, 9_999_999_999])
def test_invented_birth_years_fit_whenever_people_joined(
    database: Connection, tmp_path: Path, seconds: int
) -> None:
    rows = "".join(f"{user},1,4,{seconds}\n" for user in range(1, 200))
    assert main([str(write(tmp_path, ratings=rows)), "--quiet"]) == 0
    assert fetch(database, "SELECT count(*) FROM users") == [(199,)]


def test_invented_users_keep_the_rules_with_the_largest_ids(database: Connection, tmp_path: Path) -> None:
    rows = "".join(f"{MAX_ID - user},1,4,964982703\n" for user in range(3000))
    assert main([str(write(tmp_path, ratings=rows)), "--quiet"]) == 0


def test_a_settings_file_that_is_not_utf8_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "settings.env").write_bytes(b"DATAFLIX_HOME=/tmp/\xe9\n")
    monkeypatch.setenv("DATAFLIX_ENV_FILE", str(tmp_path / "settings.env"))
    assert main([str(write(tmp_path / "ml"))]) == 3
    assert "settings.env is not UTF-8" in capsys.readouterr().err
