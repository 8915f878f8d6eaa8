"""Pseudonyms and masks are what they are said to be, whatever people are called."""

import hashlib
import hmac
import re
import unicodedata
from io import StringIO

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from psycopg2.extensions import connection as Connection  # noqa: N812

# Postgres stores every character but NUL; surrogates are no characters.
any_text = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=40)


def pseudonym(key: bytes, kind: str, value: str) -> str:
    # ASCII letters alone are folded, in Postgres by collation C.
    folded = "".join(letter.lower() if letter.isascii() else letter for letter in value)
    return hmac.new(key, f"{kind}:{folded}".encode(), hashlib.sha256).hexdigest()


def masked_user(connection: Connection, columns: str) -> tuple[object, ...]:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {columns} FROM masked.users")
        rows = cursor.fetchall()
    assert len(rows) == 1
    return tuple(rows[0])


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=any_text)
@example("")
@example("İıß ΣΣ é e\u0301 \U0001d54f")
@example("x" * 100)
def test_hmac_in_sql_equals_hmac_in_python(admin: Connection, pii_key: bytes, text: str) -> None:
    with admin.cursor() as cursor:
        cursor.execute("SELECT pii.hmac_sha256(inner_block, outer_block, %s) FROM pii.hmac_key", (text,))
        (hashed,) = cursor.fetchone() or ("",)
    assert hashed == hmac.new(pii_key, text.encode(), hashlib.sha256).hexdigest()


# What counts as a letter of a name: one character is one letter in these scripts.
LETTERS = re.compile(
    "[A-Za-z\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u024f\u1e00-\u1eff\u0386\u0388-\u03ff\u0400-\u0481\u048a-\u052f"
    "\u0531-\u0556\u0561-\u0587\u05d0-\u05ea\u0620-\u063f\u0641-\u064a\u066e\u066f\u0671-\u06d3"
    "\u0e01-\u0e2e\u10a0-\u10fa\u1200-\u135a\u3041-\u3096\u30a1-\u30fa\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7a3]"
)

word = st.text(
    st.characters(exclude_categories=["Cs", "Cc", "Z"], exclude_characters="@\0\x85\u180e"),
    min_size=1,
    max_size=20,
)


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(username=word, mailbox=word)
@example("Ann", "ANN")
@example("É", "ñ")
def test_users_get_pseudonyms_of_both_names(
    admin: Connection, reader: Connection, pii_key: bytes, username: str, mailbox: str
) -> None:
    email = f"{mailbox}@Example.org"
    with admin.cursor() as cursor:
        cursor.execute("DELETE FROM public.users")
        cursor.execute("INSERT INTO public.users (username, email) VALUES (%s, %s)", (username, email))
    assert masked_user(reader, "username_hash, email_hash") == (
        pseudonym(pii_key, "username", username),
        pseudonym(pii_key, "email", email),
    )


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=any_text)
@example("")
@example("J")
@example("伟")
@example("李四")
@example("e\u0301\u0323")
@example("J\u2003\u3000\u200b")
@example("  Jane")
def test_names_show_their_first_letter_and_never_their_length(
    admin: Connection, reader: Connection, name: str
) -> None:
    with admin.cursor() as cursor:
        cursor.execute("DELETE FROM public.users")
        cursor.execute(
            "INSERT INTO public.users (username, email, first_name, last_name) VALUES ('a', 'a@b', %s, %s)",
            (name, name),
        )
    letters = LETTERS.findall(unicodedata.normalize("NFC", name))
    expected = (letters[0] if len(letters) >= 3 else "") + "***"
    assert masked_user(reader, "first_name, last_name") == (expected, expected)


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        # One or two letters with vowel signs, marks, punctuation, or what nobody sees.
        *((name, "") for name in ("श्री", "अमी", "ஸ்ரீ", "རྒྱ", "مُّ", "אָ", "ปู่", "J. R.", "O'", "i\u0307\u0323")),
        *((f"a{marks}", "") for marks in ("\u1ab0\u20dd", "\ufe20\ufe21", "\u180b\u180c", "\u2800\u2800")),
        *(
            (f"伟{marks}", "")
            for marks in ("\u3164\u115f", "\U000e0100\U000e0061", "123", "\u2060\u200d\u00ad")
        ),
        *((unicodedata.normalize("NFD", name), "") for name in ("김", "김민", "Éô")),
        *((name, "") for name in ("👍🏽", "🇺🇸🇩🇪", "...", "007")),
        *((unicodedata.normalize("NFD", name), name[0]) for name in ("김민수", "Éva", "Øyvind")),
        *(
            (name, name[0])
            for name in ("Łukasz", "Ольга", "Ελένη", "محمد", "דוד", "สมชาย", "司马迁", "さくら")
        ),
        ("'t Hooft", "t"),
    ],
)
def test_a_letter_is_what_people_call_one(admin: Connection, name: str, shown: str) -> None:
    with admin.cursor() as cursor:
        cursor.execute("SELECT masked._masked_name(%s)", (name,))
        assert cursor.fetchone() == (f"{shown}***",)


@pytest.mark.parametrize(
    "place",
    [
        *(
            "Oslo",
            "São Paulo",
            "St. Gallen",
            "L'Aquila",
            "Coeur d\u2019Alene",
            "Stoke-on-Trent",
            "New York",
            "CA",
        ),
        *("東京", "Αθήνα", "Санкт-Петербург", "San Fernando del Valle", "Kingston (Surrey)", "القاهرة"),
        *("North Judithbury", "Broadway", "Streetsboro", "Norwegen", "Middelburg"),
    ],
)
def test_places_are_shown(admin: Connection, place: str) -> None:
    assert shown_place(admin, place) == place


@pytest.mark.parametrize(
    "text",
    [
        *(
            "12 Baker Street",
            "Baker Street",
            "Baker St.",
            "Oslo 0150",
            "Hauptstraße",
            "Am Marktplatz",
            "Rue Morgue",
        ),
        *("ann@example.org", "Oslo, near the church", "near Oslo", "c/o Ann Early", "Apt. 4", "٣ شارع", "3"),
        *(
            "Ann Early who lives next to you",
            "a" * 41,
            "Oslo\nAnn",
            "朝阳区建国路",
            "\uff11\uff12 Oslo",
            "+47 12",
            "x_y",
        ),
    ],
)
def test_text_that_is_no_place_is_left_out(admin: Connection, text: str) -> None:
    assert shown_place(admin, text) is None


def shown_place(admin: Connection, text: str) -> object:
    """Return what state and country of the view show of a text; the city never leaves."""
    with admin.cursor() as cursor:
        cursor.execute(
            "INSERT INTO public.users (username, email, city, state, country)"
            " VALUES ('a', 'a@b', %s, %s, %s)",
            (text, text, text),
        )
    city, state, country = masked_user(admin, "city, state, country")
    assert city is None
    assert state == country
    return state


def test_a_name_that_somebody_types_as_city_is_not_shown(admin: Connection) -> None:
    assert shown_place(admin, "Ann Early") == "Ann Early", "no form tells a name from a place"


@pytest.mark.parametrize(
    ("year", "shown"), [(1900, 1900), (1984, 1980), (1989, 1980), (1990, 1990), (2100, 2100), (None, None)]
)
def test_of_the_year_of_birth_the_decade_is_shown(
    admin: Connection, year: int | None, shown: int | None
) -> None:
    with admin.cursor() as cursor:
        cursor.execute(
            "INSERT INTO public.users (username, email, birth_year) VALUES ('a', 'a@b', %s)", (year,)
        )
    assert masked_user(admin, "birth_year") == (shown,)


def test_a_username_that_is_an_address_hashes_otherwise(admin: Connection, reader: Connection) -> None:
    with admin.cursor() as cursor:
        cursor.execute("INSERT INTO public.users (username, email) VALUES ('a@b', 'a@b')")
    username_hash, email_hash = masked_user(reader, "username_hash, email_hash")
    assert username_hash != email_hash


def test_pseudonyms_follow_every_way_of_writing(
    admin: Connection, backend: Connection, reader: Connection, pii_key: bytes
) -> None:
    with backend.cursor() as cursor:
        cursor.execute(
            "INSERT INTO users (username, email) SELECT 'user' || i, i || '@example.org' "
            "FROM generate_series(1, 50) AS i"
        )
        cursor.copy_expert(
            "COPY users (username, email) FROM STDIN", StringIO("copied\tcopied@example.org\n")
        )
        cursor.execute("UPDATE users SET email = 'new-' || email WHERE username LIKE 'user1%'")
        cursor.execute(
            "INSERT INTO users (user_id, username, email) SELECT user_id, 'x', 'x@y' FROM users "
            "WHERE username = 'user2' ON CONFLICT (user_id) DO UPDATE SET username = 'renamed'"
        )
        cursor.execute("DELETE FROM users WHERE username = 'user3'")
        cursor.execute("SELECT user_id, username, email FROM users ORDER BY user_id")
        expected = [
            (user_id, pseudonym(pii_key, "username", username), pseudonym(pii_key, "email", email))
            for user_id, username, email in cursor.fetchall()
        ]
    with reader.cursor() as cursor:
        cursor.execute("SELECT user_id, username_hash, email_hash FROM users ORDER BY user_id")
        assert cursor.fetchall() == expected
    with admin.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pii.user_pseudonyms")
        assert cursor.fetchone() == (len(expected),)


def test_pseudonyms_follow_a_writer_that_replicates(
    admin: Connection, reader: Connection, pii_key: bytes
) -> None:
    with admin.cursor() as cursor:
        cursor.execute("INSERT INTO public.users (username, email) VALUES ('ann', 'old@example.org')")
        cursor.execute("SET session_replication_role = replica")
        cursor.execute("UPDATE public.users SET email = 'new@example.org', username = 'bob'")
        assert masked_user(reader, "username_hash, email_hash") == (
            pseudonym(pii_key, "username", "bob"),
            pseudonym(pii_key, "email", "new@example.org"),
        )
        cursor.execute("DELETE FROM public.users RETURNING user_id")
        deleted = cursor.fetchone()
        cursor.execute("SELECT count(*) FROM pii.user_pseudonyms")
        assert cursor.fetchone() == (0,)
        cursor.execute(
            "SELECT user_id FROM public.erasures WHERE verified_at IS NULL AND user_id = %s", deleted
        )
        assert cursor.fetchone() == deleted


def test_a_user_without_pseudonym_is_seen_and_not_lost(admin: Connection, reader: Connection) -> None:
    with admin.cursor() as cursor:
        cursor.execute("INSERT INTO public.users (username, email) VALUES ('ann', 'ann@example.org')")
        cursor.execute("DELETE FROM pii.user_pseudonyms")
    assert masked_user(reader, "username_hash, email_hash") == (None, None)


def test_the_other_views_show_all_there_is(
    admin: Connection, backend: Connection, reader: Connection
) -> None:
    with backend.cursor() as cursor:
        cursor.execute("INSERT INTO users (username, email) VALUES ('ann', 'ann@example.org')")
        cursor.execute(
            "INSERT INTO movies ("
            "    title, genres, release_year, director, duration_minutes, description, imdb_id, tmdb_id"
            ") VALUES ("
            "    'Alien', '{Horror,Sci-Fi}', 1979, 'Ridley Scott', 117, 'In space.', 'tt0078748', 348"
            ")"
        )
        cursor.execute(
            "INSERT INTO watched_movies (user_id, movie_id) SELECT user_id, movie_id FROM users, movies"
        )
        cursor.execute("INSERT INTO ratings SELECT user_id, movie_id, 4.5, true FROM users, movies")
    for table in ("movies", "watched_movies", "ratings"):
        with admin.cursor() as cursor:
            cursor.execute(f"SELECT * FROM public.{table}")
            raw = cursor.fetchall()
            raw_columns = [column.name for column in cursor.description or ()]
        with reader.cursor() as cursor:
            cursor.execute(f"SELECT * FROM masked.{table}")
            assert cursor.fetchall() == raw
            shown = [column.name for column in cursor.description or ()]
            assert [{"_changed_in": "last_xid"}.get(name, name) for name in shown] == raw_columns
        assert len(raw) == 1
