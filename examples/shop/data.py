"""Rows of the online shop: 5,000 accounts, 2,000 products, 200,000 views, carts and purchases."""

import csv
import io
import uuid
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, timedelta

import numpy as np
from faker import Faker
from psycopg2.extensions import connection as Connection  # noqa: N812  psycopg2's own name is lower case

from preferences import draw_choices, draw_counts, draw_preferences, draw_seconds

ACCOUNTS, PRODUCTS, EVENTS = 5000, 2000, 200_000
BEGIN, DAYS = datetime(2026, 1, 5, tzinfo=UTC), 300
_SEED = 20_261_102

# Of what is viewed, the share that goes into the cart, and of that the share that is bought.
_CARTED, _BOUGHT = 0.16, 0.55

_DEPARTMENTS = (
    "Audio", "Baby", "Bath", "Books", "Camping", "Cycling", "Fitness", "Garden", "Kitchen", "Lighting",
    "Office", "Outdoor clothing", "Pets", "Shoes", "Tea and coffee", "Tools", "Toys", "Travel",
)  # fmt: skip
_MATERIALS = (
    "Bamboo", "Canvas", "Ceramic", "Copper", "Cork", "Cotton", "Felt", "Glass", "Leather", "Linen",
    "Oak", "Recycled", "Steel", "Stone", "Walnut", "Wool",
)  # fmt: skip
_THINGS = (
    "Basket", "Blanket", "Bottle", "Box", "Brush", "Case", "Chair", "Cup", "Frame", "Holder",
    "Jacket", "Kit", "Lamp", "Mat", "Pouch", "Rack", "Set", "Stand", "Tray", "Wrap",
)  # fmt: skip
_BRANDS = tuple(
    f"{name} & Co" for name in ("Alder", "Birk", "Calla", "Dune", "Elm", "Fjord", "Gale", "Heath")
)
_COLOURS = ("black", "blue", "green", "grey", "natural", "red", "white", "yellow")

Value = str | int | float | bool | date | None


def account_id(number: int) -> str:
    """Return the id of the account of this number, from 0 on."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"https://shop.example/accounts/{number}"))


def sku(number: int) -> str:
    """Return the id of the product of this number, from 0 on."""
    return f"{chr(65 + number % 26)}{chr(65 + number // 26 % 26)}X-{10_000 + 7 * number:05d}"


def fill(connection: Connection) -> None:
    """Write all rows into the empty tables."""
    rng = np.random.default_rng(_SEED)
    faker = Faker("en_GB")
    faker.seed_instance(_SEED)
    _accounts(connection, faker, rng)
    department = rng.integers(0, len(_DEPARTMENTS), PRODUCTS)
    _products(connection, rng, department.tolist())
    preferences = draw_preferences(rng, ACCOUNTS, department)
    rows = _events(rng, preferences.utility)
    _write(connection, "shop.events (happened_at, account_id, sku, event_type, client_ip)", rows)
    with connection.cursor() as cursor:
        cursor.execute(
            "CREATE TRIGGER take_from_stock AFTER INSERT ON shop.events"
            " FOR EACH ROW EXECUTE FUNCTION shop.take_from_stock()"
        )
        cursor.execute("ANALYZE")


def _events(rng: np.random.Generator, utility: np.ndarray) -> list[tuple[str, str, str, str, str]]:
    # Each interest begins with a view; some come back, some go on. So fewer interests than events are drawn.
    counts = draw_counts(rng, ACCOUNTS, int(EVENTS / 1.75), 3, 0.9)
    counts = np.minimum(counts, PRODUCTS // 4)
    choices = draw_choices(rng, utility, counts)
    seconds = draw_seconds(rng, int(counts.sum()), DAYS)
    rows: list[tuple[float, int, int, str]] = []
    number = 0
    for account, chosen in enumerate(choices):
        for product in chosen.tolist():
            moment = float(seconds[number])
            number += 1
            # Who wants a product more comes back more often.
            for _ in range(1 + int(rng.poisson(0.5))):
                rows.append((moment, account, product, "view"))
                moment += float(rng.exponential(40_000))
            if rng.random() < _CARTED:
                rows.append((moment, account, product, "cart"))
                moment += float(rng.exponential(3_000))
                if rng.random() < _BOUGHT:
                    rows.append((moment, account, product, "purchase"))
    missing = EVENTS - len(rows)
    again = rng.integers(0, len(rows), max(missing, 0))
    rows += [(rows[i][0] + 60.0, rows[i][1], rows[i][2], "view") for i in again.tolist()]
    kept = np.sort(rng.permutation(len(rows))[:EVENTS])
    chosen_rows = sorted(rows[i] for i in kept.tolist())
    return [
        (
            (BEGIN + timedelta(seconds=moment)).isoformat(),
            account_id(account),
            sku(product),
            kind,
            f"10.{account % 250}.{product % 250}.7",
        )
        for moment, account, product, kind in chosen_rows
    ]


def _accounts(connection: Connection, faker: Faker, rng: np.random.Generator) -> None:
    def row(number: int) -> tuple[Value, ...]:
        name = f"{faker.first_name()} {faker.last_name()}"
        joined = BEGIN - timedelta(days=float(rng.uniform(1, 800)))
        return (
            account_id(number),
            f"{name.split(maxsplit=1)[0]}.{number}@mail.example".lower(),
            name,
            faker.numerify("07### ######"),
            faker.street_address().replace("\n", " "),
            faker.postcode(),
            faker.city(),
            "United Kingdom",
            date(int(rng.integers(1945, 2008)), int(rng.integers(1, 13)), int(rng.integers(1, 29))),
            bool(rng.random() < 0.4),  # noqa: PLR2004
            joined.isoformat(),
        )

    _write(
        connection,
        "shop.accounts (id, email, full_name, contact, street, postcode, city, country, born, newsletter,"
        " created_at)",
        map(row, range(ACCOUNTS)),
    )


def _products(connection: Connection, rng: np.random.Generator, department: Sequence[int]) -> None:
    _write(connection, "shop.departments", enumerate(_DEPARTMENTS, start=1))

    def row(number: int) -> tuple[Value, ...]:
        material, thing = str(rng.choice(_MATERIALS)), str(rng.choice(_THINGS))
        colours = sorted(rng.choice(_COLOURS, size=int(rng.integers(1, 4)), replace=False).tolist())
        return (
            sku(number),
            f"{material} {thing} {number + 1}",
            department[number] + 1,
            str(rng.choice(_BRANDS)),
            round(float(rng.lognormal(3.2, 0.7)) + 1, 2),
            "{" + ",".join(colours) + "}",
            bool(rng.random() < 0.25),  # noqa: PLR2004
            int(rng.integers(20, 2000)),
            (BEGIN - timedelta(days=float(rng.uniform(1, 900)))).isoformat(),
        )

    _write(
        connection,
        "shop.products (sku, name, department_id, brand, price, colours, is_organic, stock, listed_at)",
        map(row, range(PRODUCTS)),
    )


def _write(connection: Connection, target: str, rows: Iterable[Sequence[Value]]) -> None:
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    text.seek(0)
    with connection.cursor() as cursor:
        cursor.copy_expert(f"COPY {target} FROM STDIN (FORMAT csv)", text)
