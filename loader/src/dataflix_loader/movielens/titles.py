"""Parses MovieLens titles: "Matrix, The (1999)" is "The Matrix" of 1999."""

import re
from typing import NamedTuple

# MovieLens puts the article after the title: "Misérables, Les". No space follows one with an apostrophe.
_ARTICLES = (
    *("The", "A", "An"),
    *("Le", "La", "Les", "L'", "Un", "Une", "Des"),
    *("Il", "Lo", "I", "Gli", "Una", "Uno"),
    *("El", "Los", "Las"),
    *("Der", "Die", "Das", "Ein", "Eine"),
    *("De", "Den", "Det", "En", "Et", "Het", "Een", "Da", "O", "Os", "As", "Um", "Uma"),
)

_TRAILING_ARTICLE = re.compile(rf"(?P<rest>.+), (?P<article>{'|'.join(_ARTICLES)})")
_PARENTHESIS = re.compile(r"\((?P<known_as>a\.k\.a\. )?(?P<title>[^()]*)\)")

# "(1999)", and for series "(2006-2007)" or "(1975-)", also with an en dash: the first year counts.
# It looks at a run of blanks once: a damaged line may be blank for 65,000 characters.
_YEAR = re.compile(r"(?<!\s)\s*\((?P<year>[0-9]{4})(?:\s*[-\u2013]\s*(?:[0-9]{4})?)?\)\s*\Z")

# The limits of the column release_year; four digits outside of them are part of the title.
FIRST_YEAR, LAST_YEAR = 1870, 2100


class Title(NamedTuple):
    """A title without its year, and the year if the title has one."""

    text: str
    year: int | None


def parse_title(raw: str) -> Title:
    """Return the title with its article first, and the year. Other titles in parentheses stay.

    >>> parse_title("City of Lost Children, The (Cité des enfants perdus, La) (1995)")
    Title(text='The City of Lost Children (La Cité des enfants perdus)', year=1995)
    """
    year = None
    text = raw.strip()
    found = _YEAR.search(text)
    if found and found.start() > 0 and FIRST_YEAR <= int(found["year"]) <= LAST_YEAR:
        text, year = text[: found.start()], int(found["year"])
    main, parenthesis, rest = text.partition("(")
    spaces = main[len(main.rstrip()) :]
    main = _article_first(main.rstrip()) + spaces
    return Title(main + _PARENTHESIS.sub(_parenthesised_title, parenthesis + rest), year)


def _parenthesised_title(found: re.Match[str]) -> str:
    return f"({found['known_as'] or ''}{_article_first(found['title'])})"


def _article_first(title: str) -> str:
    found = _TRAILING_ARTICLE.fullmatch(title)
    if found is None:
        return title
    article = found["article"]
    return f"{article}{'' if article.endswith(chr(39)) else ' '}{found['rest']}"
