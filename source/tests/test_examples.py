"""The two applications that are not ours: a first copy, a day of changes, an erasure, and their own life."""

from collections.abc import Callable
from contextlib import closing

import psycopg2
import pytest
from psycopg2.extensions import connection as Connection  # noqa: N812

from dataflix_source.capture import install_script
from dataflix_source.client import source_snapshot
from dataflix_source.description.yaml_file import read_description
from dataflix_source.looking.check import check_source
from dataflix_source.settings import OwnSettings

from .conftest import EXAMPLES, READER, READER_PASSWORD, execute, fetch, run_copy, settings_of

# What the application itself does in a day, and how many people it deletes.
DAYS = {
    "dvdrental": (
        "INSERT INTO rental (rental_date, inventory_id, customer_id, staff_id)"
        " SELECT now(), inventory_id, 1 + inventory_id % 500, 1 FROM inventory WHERE inventory_id % 50 = 0",
        "UPDATE film SET title = 'RENAMED' WHERE film_id = 7",
        "DELETE FROM payment WHERE customer_id = 599; DELETE FROM rental WHERE customer_id = 599;"
        "DELETE FROM customer WHERE customer_id = 599",
    ),
    "shop": (
        "INSERT INTO shop.events (account_id, sku, event_type) SELECT a.id, p.sku, 'purchase'"
        " FROM (SELECT id FROM shop.accounts ORDER BY id LIMIT 50) AS a,"
        " (SELECT sku FROM shop.products ORDER BY sku LIMIT 2) AS p",
        "UPDATE shop.products SET name = 'RENAMED' WHERE sku = (SELECT min(sku) FROM shop.products)",
        "UPDATE shop.accounts SET deleted_at = now()"
        " WHERE id = (SELECT max(id::text)::uuid FROM shop.accounts)",
    ),
}
FIRST = {"dvdrental": (599, 1000, {"rented": 16_173}), "shop": (5000, 2000, {"view": 171_635})}


@pytest.mark.parametrize("name", ["dvdrental", "shop"])
def test_an_application_that_is_not_ours(
    examples: Callable[[str], dict[str, str]], own: Connection, own_settings: OwnSettings, name: str
) -> None:
    made = examples(name)
    # A copy of it: other tests look at the example as it was made.
    execute(own, f"CREATE DATABASE {name}_day OWNER {name}_owner TEMPLATE {name}")
    addresses = {role: f"{address}_day" for role, address in made.items()}
    try:
        _day(name, addresses, own, own_settings)
    finally:
        execute(own, f"DROP DATABASE {name}_day WITH (FORCE)")


def _day(name: str, addresses: dict[str, str], own: Connection, own_settings: OwnSettings) -> None:
    description = read_description(EXAMPLES / name / "dataflix.yml").description
    owner = settings_of(addresses["owner"])
    with source_snapshot(owner) as session:
        catalog, findings = check_source(session, owner, description)
        script = install_script(description, catalog, READER)
    assert findings.all == []
    with closing(psycopg2.connect(addresses["owner"])) as connection, connection:
        execute(connection, "\n".join(line for line in script.splitlines() if line[:1] != "\\"))
    reader = owner.model_copy(update={"user": READER, "password": READER_PASSWORD})
    run_copy(reader, own_settings, description)
    people, items, events = FIRST[name]
    assert fetch(own, "SELECT (SELECT count(*) FROM users), (SELECT count(*) FROM movies)") == [
        (people, items)
    ]
    rows = fetch(own, "SELECT kind, sum(events_count)::int FROM interactions GROUP BY kind")
    counts = {str(kind): int(str(number)) for kind, number in rows}
    for kind, number in events.items():
        # Several views of a product on one day count once.
        assert number * 0.8 < counts[kind] <= number
    # No name, address or phone number came along.
    assert fetch(own, "SELECT FROM users WHERE first_name <> '' OR last_name <> ''") == []
    assert fetch(own, "SELECT FROM users WHERE email NOT LIKE '%@source.invalid'") == []
    with closing(psycopg2.connect(addresses["app"])) as application, application:
        for statement in DAYS[name]:
            execute(application, statement)
    changes = run_copy(reader, own_settings, description).changes
    assert not any(change.compared for change in changes)
    assert changes[0].deleted == 1
    assert len(fetch(own, "SELECT FROM erasures")) == 1
    assert fetch(own, "SELECT count(*) FROM movies WHERE title = 'RENAMED'") == [(1,)]
    everything = run_copy(reader, own_settings, description, compare=True).changes
    assert all((change.inserted, change.updated, change.deleted) == (0, 0, 0) for change in everything)
