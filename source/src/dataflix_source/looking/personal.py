"""Finds personal columns: by their names, and by what their values look like.

Only counts leave the source: the patterns are compared there, on a sample. We looked at Presidio and
scrubadub, which find names in texts with language models: they need the values here, and hundreds of
megabytes.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise

from dataflix_source.client import Session
from dataflix_source.description.references import quoted
from dataflix_source.looking.catalog import TEXT_TYPES, Column, Table

SAMPLE_ROWS = 2_000
# From here on, reading the first rows would show the oldest ones only.
_LARGE_TABLE_ROWS = 100_000


class Part(StrEnum):
    """What a table is for; a `state` is a place in a table of people, and a status elsewhere."""

    PEOPLE = "people"
    ITEMS = "items"
    EVENTS = "events"


# Words of names. The first set is personal wherever it stands.
_ANYWHERE = {
    "an e-mail address": {"email", "mail", "emailaddress"},
    "a phone number": {"phone", "telephone", "tel", "mobile", "cellphone", "fax", "whatsapp", "msisdn"},
    "a person's name": {
        "firstname",
        "lastname",
        "surname",
        "fullname",
        "forename",
        "middlename",
        "maidenname",
    },
    "a secret": {"password", "passwd", "pwd", "salt", "secret"},
    "a number of a document or an account": {
        "ssn",
        "passport",
        "iban",
        "bic",
        "cvv",
        "creditcard",
        "cardnumber",
    },
}
_OF_PEOPLE_AND_EVENTS = {
    "an address": {"address", "addr", "street", "postcode", "postal", "zip", "zipcode"},
    "a network address or device": {"ip", "ipaddress", "useragent", "device", "mac"},
    "a date of birth": {"birth", "birthday", "birthdate", "dob", "born", "age"},
    "a place on the map": {"latitude", "longitude", "lat", "lon", "lng", "geo"},
}
_OF_PEOPLE = {
    "a person's name": {"name", "username", "login", "nickname", "nick", "handle", "given", "family"},
    "a place of residence": {"city", "town", "state", "region", "province", "country", "county", "district"},
    "an attribute of a person": {
        "gender",
        "sex",
        "religion",
        "ethnicity",
        "nationality",
        "photo",
        "picture",
        "avatar",
    },
    "a secret": {"token", "hash", "session", "cookie"},
    "a number of a document or an account": {"tax", "vat", "license", "licence", "card"},
}
_PERSONAL_TYPES = {"inet": "a network address", "cidr": "a network address", "macaddr": "a device"}
# Two words that are one in the sets above.
_PAIRS = {
    ("first", "name"), ("last", "name"), ("full", "name"), ("middle", "name"), ("maiden", "name"),
    ("sur", "name"),
    ("fore", "name"), ("e", "mail"), ("user", "name"), ("birth", "date"), ("zip", "code"), ("post", "code"),
    ("user", "agent"), ("ip", "address"), ("cell", "phone"), ("nick", "name"), ("credit", "card"),
    ("card", "number"),
}  # fmt: skip

_STREET_WORDS = (
    "street|str|road|rd|avenue|ave|lane|ln|drive|dr|court|ct|square|way|terrace|close|boulevard|blvd|rue|calle|via|avenida"
    "|ulica|stra(ss|ß)e|gasse|weg|platz|allee|flat|flats|apartment|apt|suite|ste"
)


@dataclass(frozen=True, slots=True)
class _Look:
    """A form of values.

    Attributes:
        what: how a message names it.
        condition: SQL, true for a value `v` of this form.
        share: of the values that must have it.
    """

    what: str
    condition: str
    share: float


_LOOKS = (
    # A single address says that people put addresses there.
    _Look(
        "e-mail addresses", r"v ~ '[[:alnum:]._%+-]+@[[:alnum:]-]+(\.[[:alnum:]-]+)*\.[[:alpha:]]{2,}'", 0.02
    ),
    _Look(
        "phone numbers",
        # A plus, a leading zero or signs between the digits: a plain number may be an article's.
        r"v ~ '^\s*(\+|\(|0)?[0-9][0-9 ()/.-]{5,20}[0-9]\s*(x[0-9]+)?$' AND v ~ '(^\s*[+(0]|[0-9)]["
        r" /.-]+[0-9(])'"
        r" AND v !~ '^\s*[0-9]{4}-[0-9]{2}-[0-9]{2}' AND v !~ '^[0-9]+\.[0-9]+$'"
        # Numbers of versions and of networks.
        r" AND v !~ '^\s*[0-9]{1,3}(\.[0-9]{1,3}){3}\s*$' AND v !~ '(^|\.)[0-9](\.|$)'"
        r" AND length(regexp_replace(v, '\D', '', 'g')) BETWEEN 7 AND 15",
        0.2,
    ),
    _Look(
        "street addresses",
        rf"v ~* '(^|[^[:alnum:]])[0-9]{{1,5}}[a-z]?,? +([[:alpha:]''.-]+"
        rf" +){{1,3}}({_STREET_WORDS})[.]?([^[:alpha:]]|$)'"
        rf" OR v ~* '[[:alpha:].-]*({_STREET_WORDS})[.]? +[0-9]{{1,5}}[a-z]?([^[:alnum:]]|$)'",
        0.1,
    ),
    _Look("network addresses", r"v ~ '^\s*[0-9]{1,3}(\.[0-9]{1,3}){3}\s*$'", 0.5),
    _Look("numbers of bank accounts", r"v ~ '^[A-Z]{2}[0-9]{2} ?([A-Z0-9]{4} ?){2,7}[A-Z0-9]{1,4}$'", 0.2),
)


@dataclass(frozen=True, slots=True)
class Suspicion:
    """A column that seems to be personal, and why."""

    column: str
    reason: str


def by_name(table: Table, part: Part, columns: Iterable[str]) -> list[Suspicion]:
    """Return the columns whose names or types say that they are personal."""
    sets = [_ANYWHERE]
    if part is not Part.ITEMS:
        sets.append(_OF_PEOPLE_AND_EVENTS)
    if part is Part.PEOPLE:
        sets.append(_OF_PEOPLE)
    found = []
    for name in columns:
        column = table.columns[name]
        words = _words(name)
        reasons = [what for known in sets for what, personal in known.items() if words & personal]
        if part is not Part.ITEMS and column.type in _PERSONAL_TYPES:
            reasons.append(_PERSONAL_TYPES[column.type])
        if reasons and column.type != "bool":
            found.append(Suspicion(name, f"its name or type says {reasons[0]}"))
    return found


def by_look(session: Session, table: Table, columns: Iterable[str]) -> list[Suspicion]:
    """Return the columns whose values look personal in a sample."""
    looked_at = [table.columns[name] for name in columns if _can_look(table.columns[name])]
    if not looked_at:
        return []
    counts = ", ".join(
        f"count({_value(column)}), "
        + ", ".join(
            f"count(*) FILTER (WHERE {_with_value(look.condition, _value(column))})" for look in _LOOKS
        )
        for column in looked_at
    )
    row = iter(session.row(f"SELECT {counts} FROM {sample(table, [column.name for column in looked_at])}"))
    found = []
    for column in looked_at:
        values = next(row)
        for look, matching in [(look, next(row)) for look in _LOOKS]:
            if values and matching >= max(1, look.share * values):
                share = round(100 * matching / values)
                found.append(Suspicion(column.name, f"{share or '<1'} % of its values look like {look.what}"))
                break
    return found


def sample(table: Table, columns: Iterable[str]) -> str:
    """Return SQL for a sample of rows, to stand after FROM."""
    names = ", ".join(map(quoted, columns))
    source = table.name.sql
    if table.kind in ("r", "m", "p") and table.rows > _LARGE_TABLE_ROWS:
        source += f" TABLESAMPLE SYSTEM ({min(100.0, 400.0 * SAMPLE_ROWS / table.rows):.4f})"
    return f"(SELECT {names} FROM {source} LIMIT {SAMPLE_ROWS}) AS sampled"


def _can_look(column: Column) -> bool:
    return (
        column.can_read
        and not column.is_enum
        and column.type in TEXT_TYPES | {"json", "jsonb", "int8", "numeric"}
    )


def _value(column: Column) -> str:
    # An empty text is no value.
    return f"nullif(left({quoted(column.name)}::text, 500), '')"


def _with_value(condition: str, value: str) -> str:
    return re.sub(r"\bv (?=[~!])|\(v,", lambda match: match.group().replace("v", value), condition)


def _words(name: str) -> set[str]:
    words = [
        word for word in re.split(r"[^a-z0-9]+", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()) if word
    ]
    joined = {first + second for first, second in pairwise(words) if (first, second) in _PAIRS}
    # address2, phone1
    return {word.rstrip("0123456789") or word for word in words} | joined
