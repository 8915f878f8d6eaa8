"""Invented users: names, addresses and places that belong to nobody; the same for the same user id."""

import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt
from faker import Faker

from dataflix_loader.database.staging import Field

COLUMNS = (
    "user_id",
    "username",
    "email",
    "first_name",
    "last_name",
    "city",
    "state",
    "country",
    "birth_year",
    "created_epoch",
)

# Country, Faker's locale for its names and places, and its share of the users.
_COUNTRIES = (
    ("United States", "en_US", 0.70),
    ("Canada", "en_CA", 0.06),
    ("United Kingdom", "en_GB", 0.06),
    ("Australia", "en_AU", 0.03),
    ("India", "en_IN", 0.03),
    ("Germany", "de_DE", 0.03),
    ("France", "fr_FR", 0.03),
    ("Spain", "es_ES", 0.02),
    ("Brazil", "pt_BR", 0.02),
    ("Netherlands", "nl_NL", 0.01),
    ("Poland", "pl_PL", 0.01),
)

# Millions of inhabitants (census of 2020), so that a chart of users by state looks real.
_STATE_WEIGHTS = {
    "AL": 5.0, "AK": 0.7, "AZ": 7.2, "AR": 3.0, "CA": 39.5, "CO": 5.8, "CT": 3.6, "DE": 1.0, "DC": 0.7,
    "FL": 21.5, "GA": 10.7, "HI": 1.5, "ID": 1.8, "IL": 12.8, "IN": 6.8, "IA": 3.2, "KS": 2.9, "KY": 4.5,
    "LA": 4.7, "ME": 1.4, "MD": 6.2, "MA": 7.0, "MI": 10.1, "MN": 5.7, "MS": 3.0, "MO": 6.2, "MT": 1.1,
    "NE": 2.0, "NV": 3.1, "NH": 1.4, "NJ": 9.3, "NM": 2.1, "NY": 20.2, "NC": 10.4, "ND": 0.8, "OH": 11.8,
    "OK": 4.0, "OR": 4.2, "PA": 13.0, "RI": 1.1, "SC": 5.1, "SD": 0.9, "TN": 6.9, "TX": 29.1, "UT": 3.3,
    "VT": 0.6, "VA": 8.6, "WA": 7.7, "WV": 1.8, "WI": 5.9, "WY": 0.6,
}  # fmt: skip

# Names in each pool: enough that a thousand users rarely share a name, few enough to draw them quickly.
_POOL_SIZE = 300

# Range of ages, in years at the time of joining, for users without a known birth year.
_YOUNGEST, _OLDEST = 16, 75

# The rule users_birth_year_range of the table users.
FIRST_BIRTH_YEAR, LAST_BIRTH_YEAR = 1900, 2100

# Mean length of a calendar year: precise enough for the year in which a user joined.
_YEAR_SECONDS = 31_556_952

_SEED = 20_200_401


@dataclass(frozen=True)
class _NamePool:
    """Names and places of one country."""

    country: str
    first_names: list[str]
    last_names: list[str]
    cities: list[str]


class SyntheticUsers:
    """Generates users.

    Args:
        domain: the e-mail domain, one that nobody can own; each data set has its own.
    """

    def __init__(self, domain: str) -> None:
        self._domain = domain
        self._pools = [_draw_pool(country, locale) for country, locale, _ in _COUNTRIES]
        self._country_bounds = _choice_bounds([share for _, _, share in _COUNTRIES])
        self._states = list(_STATE_WEIGHTS)
        self._state_bounds = _choice_bounds(list(_STATE_WEIGHTS.values()))

    def rows(
        self,
        user_ids: Sequence[int],
        created_epochs: Sequence[int],
        birth_years: Sequence[int | None] | None = None,
    ) -> Iterator[tuple[Field, ...]]:
        """Yield one row of COLUMNS for each user id; a missing birth year is invented."""
        ids = np.asarray(user_ids, dtype=np.uint64)
        countries = np.searchsorted(self._country_bounds, _unit_interval(_hash(ids, 1)), side="right")
        states = np.searchsorted(self._state_bounds, _unit_interval(_hash(ids, 2)), side="right")
        firsts, lasts, cities = (_hash(ids, field) for field in (3, 4, 5))
        ages = _YOUNGEST + _hash(ids, 6) % np.uint64(_OLDEST - _YOUNGEST + 1)
        for position, user_id in enumerate(user_ids):
            pool = self._pools[int(countries[position])]
            first = pool.first_names[int(firsts[position]) % len(pool.first_names)]
            last = pool.last_names[int(lasts[position]) % len(pool.last_names)]
            known_year = birth_years[position] if birth_years else None
            login = f"{_ascii_letters(first)}.{_ascii_letters(last)}{user_id}"
            yield (
                user_id,
                login,
                f"{login}@{self._domain}",
                first,
                last,
                pool.cities[int(cities[position]) % len(pool.cities)],
                self._states[int(states[position])] if pool.country == "United States" else None,
                pool.country,
                known_year
                if known_year is not None
                else _invented_birth_year(int(created_epochs[position]), int(ages[position])),
                int(created_epochs[position]),
            )


def _invented_birth_year(created_epoch: int, age: int) -> int:
    """Return a birth year that the table can hold, also for people who joined very early or late."""
    return min(max(1970 + created_epoch // _YEAR_SECONDS - age, FIRST_BIRTH_YEAR), LAST_BIRTH_YEAR)


@cache
def _draw_pool(country: str, locale: str) -> _NamePool:
    # Two providers only: loading all of them takes longer than drawing the names.
    faker = Faker(locale, providers=["faker.providers.person", "faker.providers.address"])
    faker.seed_instance(_SEED)
    return _NamePool(
        country,
        [faker.first_name() for _ in range(_POOL_SIZE)],
        [faker.last_name() for _ in range(_POOL_SIZE)],
        [faker.city() for _ in range(_POOL_SIZE)],
    )


def _choice_bounds(weights: Sequence[float]) -> npt.NDArray[np.float64]:
    """Return the bounds in (0, 1) between the choices: a number from [0, 1) falls into one interval."""
    return np.cumsum(np.asarray(weights) / sum(weights))[:-1]


def _hash(ids: npt.NDArray[np.uint64], field: int) -> npt.NDArray[np.uint64]:
    """Return 64 pseudo-random bits for each id (splitmix64, Steele et al. 2014), different for each field."""
    mixed = ids * np.uint64(0x9E3779B97F4A7C15) + np.uint64(field * 0xD1B54A32D192ED03 % 2**64)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))


def _unit_interval(bits: npt.NDArray[np.uint64]) -> npt.NDArray[np.float64]:
    """Map 64 bits to a number from [0, 1)."""
    return (bits >> np.uint64(11)).astype(np.float64) * 2.0**-53


@cache
def _ascii_letters(name: str) -> str:
    """Return a name as an address may hold it: lower-case ASCII letters only."""
    decomposed = unicodedata.normalize("NFKD", name.replace("ł", "l").replace("Ł", "L").replace("ß", "ss"))
    return "".join(letter for letter in decomposed if letter.isascii() and letter.isalpha()).lower()
