"""Rows of the rental shop: 599 customers, 1,000 films, 16,173 rentals of copies in stock."""

import csv
import io
from collections.abc import Iterable, Sequence
from datetime import date, datetime, timedelta

import numpy as np
from faker import Faker
from psycopg2.extensions import connection as Connection  # noqa: N812  psycopg2's own name is lower case

from preferences import draw_choices, draw_counts, draw_preferences, draw_seconds

CUSTOMERS, FILMS, RENTALS = 599, 1000, 16_173
# Films that the shop knows but has no copy of.
NOT_IN_STOCK = 42
BEGIN, DAYS = datetime(2025, 5, 1), 520  # noqa: DTZ001  the shop's own clock, without a zone, as its tables have it
_SEED = 20_251_101

_CATEGORIES = (
    "Action", "Animation", "Children", "Classics", "Comedy", "Documentary", "Drama", "Family",
    "Foreign", "Games", "Horror", "Music", "New", "Sci-Fi", "Sports", "Travel",
)  # fmt: skip
_FIRST = (
    "Amber", "Borrowed", "Broken", "Burning", "Crimson", "Distant", "Electric", "Empty", "Endless", "Fallen",
    "Fearless", "Forgotten", "Frozen", "Gentle", "Golden", "Hidden", "Hollow", "Hungry", "Invisible", "Iron",
    "Last", "Lonely", "Lost", "Lucky", "Midnight", "Paper", "Quiet", "Reckless", "Restless", "Rising",
    "Sacred", "Savage", "Second", "Secret", "Silent", "Silver", "Slow", "Stolen", "Stubborn", "Sudden",
)  # fmt: skip
_SECOND = (
    "Anthem", "Bridge", "Carnival", "Casino", "Castle", "Circus", "Coast", "Comet", "Compass", "Desert",
    "Empire", "Engine", "Express", "Falcon", "Forest", "Frontier", "Garden", "Harbour", "Heart", "Horizon",
    "Hotel", "Island", "Kingdom", "Lantern", "Letter", "Lighthouse", "Machine", "Mirror", "Mountain",
    "Orchard", "Promise", "River", "Road", "Robot", "Shadow", "Signal", "Station", "Summer", "Voyage",
    "Winter",
)  # fmt: skip
_FEATURES = ("Trailers", "Commentaries", "Deleted Scenes", "Behind the Scenes")
_PEOPLE_OF_FILMS = 200

Value = str | int | float | bool | date | None


def fill(connection: Connection) -> None:
    """Write all rows into the empty tables."""
    rng = np.random.default_rng(_SEED)
    faker = Faker("en_US")
    faker.seed_instance(_SEED)
    _places(connection, faker, rng)
    category = rng.integers(0, len(_CATEGORIES), FILMS)
    _films(connection, faker, rng, category.tolist())
    _customers(connection, faker, rng)
    in_stock = np.sort(rng.permutation(FILMS)[NOT_IN_STOCK:])
    preferences = draw_preferences(rng, CUSTOMERS, category[in_stock])
    copies = np.clip(np.rint(4.8 + 1.2 * preferences.popularity / preferences.popularity.std()), 2, 8).astype(
        int
    )
    _write(
        connection,
        "inventory (film_id, store_id)",
        (
            (int(film) + 1, 1 + copy % 2)
            for film, n in zip(in_stock, copies, strict=True)
            for copy in range(n)
        ),
    )
    counts = draw_counts(rng, CUSTOMERS, RENTALS, 12, 0.35)
    choices = draw_choices(rng, preferences.utility, counts)
    first_copy = np.concatenate(([0], np.cumsum(copies)[:-1])) + 1
    seconds = draw_seconds(rng, RENTALS, DAYS)
    rentals: list[tuple[datetime, int, int, datetime | None, int]] = []
    for customer, chosen in enumerate(choices, start=1):
        for film in chosen.tolist():
            begun = BEGIN + timedelta(seconds=int(seconds[len(rentals)]))
            back = begun + timedelta(hours=float(rng.uniform(20, 220)))
            copy = int(first_copy[film] + rng.integers(copies[film]))
            rentals.append((begun, copy, customer, back, int(rng.integers(1, 3))))
    rentals.sort()
    end = BEGIN + timedelta(days=DAYS)
    _write(
        connection,
        "rental (rental_date, inventory_id, customer_id, return_date, staff_id)",
        (
            (begun, copy, customer, back if back and back < end else None, staff)
            for begun, copy, customer, back, staff in rentals
        ),
    )
    _write(
        connection,
        "payment (customer_id, staff_id, rental_id, amount, payment_date)",
        (
            (customer, staff, number, round(float(rng.choice((0.99, 2.99, 4.99))), 2), begun)
            for number, (begun, _, customer, _, staff) in enumerate(rentals, start=1)
        ),
    )
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")


def _places(connection: Connection, faker: Faker, rng: np.random.Generator) -> None:
    countries = sorted({faker.country() for _ in range(150)})[:80]
    _write(connection, "country (country)", ((name,) for name in countries))
    cities = 300
    _write(
        connection,
        "city (city, country_id)",
        ((faker.city(), int(rng.integers(len(countries))) + 1) for _ in range(cities)),
    )
    _write(
        connection,
        "address (address, district, city_id, postal_code, phone)",
        (
            (
                faker.street_address(),
                faker.state(),
                int(rng.integers(cities)) + 1,
                faker.postcode(),
                faker.numerify("+1 ### ### ####"),
            )
            for _ in range(CUSTOMERS + 4)
        ),
    )
    _write(connection, "store (address_id)", ((1,), (2,)))
    _write(
        connection,
        "staff (first_name, last_name, address_id, email, store_id, username, password)",
        (
            (
                faker.first_name(),
                faker.last_name(),
                3 + store,
                f"staff{store + 1}@rental.example",
                store + 1,
                f"staff{store + 1}",
                None,
            )
            for store in range(2)
        ),
    )


def _films(connection: Connection, faker: Faker, rng: np.random.Generator, category: Sequence[int]) -> None:
    _write(connection, "language (name)", ((name,) for name in ("English", "French", "Japanese", "Spanish")))
    _write(connection, "category (name)", ((name,) for name in _CATEGORIES))
    _write(
        connection,
        "actor (first_name, last_name)",
        ((faker.first_name(), faker.last_name()) for _ in range(_PEOPLE_OF_FILMS)),
    )
    titles = [f"{first} {second}".upper() for first in _FIRST for second in _SECOND]
    chosen = sorted(titles[number] for number in rng.permutation(len(titles))[:FILMS])
    _write(
        connection,
        "film (title, description, release_year, language_id, rental_duration, rental_rate, length,"
        " replacement_cost, rating, special_features)",
        (
            (
                title,
                faker.sentence(12),
                int(rng.integers(1960, 2025)),
                int(rng.choice((1, 1, 1, 2, 3, 4))),
                int(rng.integers(3, 8)),
                float(rng.choice((0.99, 2.99, 4.99))),
                int(rng.integers(46, 186)),
                float(rng.integers(9, 30)) + 0.99,
                str(rng.choice(("G", "PG", "PG-13", "R", "NC-17"))),
                "{" + ",".join(f'"{name}"' for name in _FEATURES if rng.random() < 0.5) + "}",  # noqa: PLR2004
            )
            for title in chosen
        ),
    )
    _write(
        connection,
        "film_category (film_id, category_id)",
        ((number, group + 1) for number, group in enumerate(category, start=1)),
    )
    _write(
        connection,
        "film_actor (actor_id, film_id)",
        (
            (int(actor) + 1, film)
            for film in range(1, FILMS + 1)
            for actor in rng.choice(_PEOPLE_OF_FILMS, size=int(rng.integers(2, 9)), replace=False)
        ),
    )


def _customers(connection: Connection, faker: Faker, rng: np.random.Generator) -> None:
    def row(number: int) -> tuple[Value, ...]:
        first, last = faker.first_name(), faker.last_name()
        email = f"{first}.{last}.{number}@customer.example".lower()
        joined = (BEGIN - timedelta(days=int(rng.integers(1, 900)))).date()
        return int(rng.integers(1, 3)), first, last, email, number + 4, bool(rng.random() < 0.97), joined  # noqa: PLR2004

    _write(
        connection,
        "customer (store_id, first_name, last_name, email, address_id, activebool, create_date)",
        map(row, range(1, CUSTOMERS + 1)),
    )


def _write(connection: Connection, target: str, rows: Iterable[Sequence[Value]]) -> None:
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    text.seek(0)
    with connection.cursor() as cursor:
        cursor.copy_expert(f"COPY {target} FROM STDIN (FORMAT csv)", text)
