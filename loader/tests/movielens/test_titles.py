"""Titles are parsed into their spoken form and the year."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataflix_loader.movielens.titles import parse_title


@pytest.mark.parametrize(
    ("raw", "text", "year"),
    [
        ("Matrix, The (1999)", "The Matrix", 1999),
        ("Toy Story (1995)", "Toy Story", 1995),
        ("Beautiful Mind, A (2001)", "A Beautiful Mind", 2001),
        ("Affair to Remember, An (1957)", "An Affair to Remember", 1957),
        ("Misérables, Les (1995)", "Les Misérables", 1995),
        ("Avventura, L' (1960)", "L'Avventura", 1960),
        ("Boot, Das (Boat, The) (1981)", "Das Boot (The Boat)", 1981),
        (
            "City of Lost Children, The (Cité des enfants perdus, La) (1995)",
            "The City of Lost Children (La Cité des enfants perdus)",
            1995,
        ),
        (
            "Good, the Bad and the Ugly, The (Buono, il brutto, il cattivo, Il) (1966)",
            "The Good, the Bad and the Ugly (Il Buono, il brutto, il cattivo)",
            1966,
        ),
        ("Vitelloni, I (a.k.a. The Young and the Passionate) (1953)",
         "I Vitelloni (a.k.a. The Young and the Passionate)", 1953),
        ("City of the Living Dead (a.k.a. Gates of Hell, The) (Paura) (1980)",
         "City of the Living Dead (a.k.a. The Gates of Hell) (Paura)", 1980),
        ("Lord of the Rings: The Two Towers, The (2002)", "The Lord of the Rings: The Two Towers", 2002),
        ("(500) Days of Summer (2009)", "(500) Days of Summer", 2009),
        ("Superman/Doomsday (2007) ", "Superman/Doomsday", 2007),
        ("Death Note: Desu nôto (2006\u20132007)", "Death Note: Desu nôto", 2006),
        ("Fawlty Towers (1975-1979)", "Fawlty Towers", 1975),
        ("Long Show (1975- )", "Long Show", 1975),
        ("Babylon 5", "Babylon 5", None),
        ("2001: A Space Odyssey (1968)", "2001: A Space Odyssey", 1968),
        ("1984 (Nineteen Eighty-Four) (1984)", "1984 (Nineteen Eighty-Four)", 1984),
        ("Tinker, Tailor, Soldier, Spy (1979)", "Tinker, Tailor, Soldier, Spy", 1979),
        ("Monsters, Inc. (2001)", "Monsters, Inc.", 2001),
        ("Strange Number (9999)", "Strange Number (9999)", None),
        ("(1999)", "(1999)", None),
        ("Open (parenthesis (1999)", "Open (parenthesis", 1999),
    ],
)  # fmt: skip
def test_known_titles(raw: str, text: str, year: int | None) -> None:
    assert parse_title(raw) == (text, year)


plain = st.text(st.characters(categories=["L", "N"]), min_size=1, max_size=12)
phrase = st.lists(plain, min_size=1, max_size=4).map(" ".join)
articles = st.sampled_from(["The", "A", "An", "Les", "La", "Le", "Il", "Das", "Der", "Die", "El", "Los"])


@given(title=phrase, article=articles, other=phrase, year=st.integers(1870, 2100))
def test_articles_move_to_the_front_of_every_title(title: str, article: str, other: str, year: int) -> None:
    raw = f"{title}, {article} (a.k.a. {other}, {article}) ({year})"
    assert parse_title(raw) == (f"{article} {title} (a.k.a. {article} {other})", year)


@given(title=phrase, year=st.integers(1870, 2100))
def test_a_title_without_article_stays(title: str, year: int) -> None:
    assert parse_title(f"{title} ({year})") == (title, year)
    assert parse_title(title) == (title, None)


def test_a_line_of_blanks_is_looked_at_once() -> None:
    # The longest line there is. To look for its end from every blank takes minutes for these titles.
    blanks = " " * 65_000
    for _ in range(50):
        assert parse_title(f"a{blanks}b") == (f"a{blanks}b", None)
    assert parse_title(f"a{blanks}(1999)") == ("a", 1999)


@given(raw=st.text(max_size=60))
def test_any_text_gives_a_title_that_loses_no_letter(raw: str) -> None:
    text, year = parse_title(raw)
    letters = sorted(letter for letter in raw if letter.isalpha())
    assert sorted(letter for letter in text if letter.isalpha()) == letters
    assert year is None or str(year) in raw
