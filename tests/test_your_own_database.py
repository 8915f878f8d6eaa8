"""Databases of two applications that are not ours, from `.env` to lists, as docs/your-own-database.md says.

One test, because each step needs the one before: the first copy, true reasons, a day of changes, somebody who
leaves, a model that is trained again; and the application, which lives its own life meanwhile.
"""

import difflib
import json
from contextlib import closing
from typing import Any

import psycopg2
import pytest
from tenacity import Retrying, retry_if_result, stop_after_delay, wait_fixed

from dataflix_ops.doctor import source as doctor
from dataflix_ops.doctor.check import run_checks
from dataflix_stack.config import settings as stack_settings
from dataflix_testkit.application import Application
from dataflix_testkit.stack import Stack

# For a very busy machine.
TIMEOUT_S = 1700
COPIED_TIMEOUT_S = 120

# What the application does: all the time, in a day, and when somebody leaves; and what somebody has had, by
# the application's ids as texts.
LIVES = {
    "dvdrental": {
        "always": "UPDATE film SET rental_rate = rental_rate WHERE film_id = 1",
        "day": (
            "INSERT INTO rental (rental_date, inventory_id, customer_id, staff_id)"
            " SELECT now(), inventory_id, 1 + inventory_id % 500, 1 FROM inventory"
            " WHERE inventory_id % 50 = 0",
            "UPDATE film SET title = 'RENAMED' WHERE film_id = 7",
        ),
        "leaves": "599",
        "leaving": (
            "DELETE FROM payment WHERE customer_id = 599; DELETE FROM rental WHERE customer_id = 599;"
            "DELETE FROM customer WHERE customer_id = 599",
        ),
        "seen": "SELECT DISTINCT i.film_id::text FROM rental AS r JOIN inventory AS i USING (inventory_id)"
        " WHERE r.customer_id::text = %s",
        "people": 599,
        "items": 1000,
    },
    "shop": {
        "always": "UPDATE shop.products SET price = price WHERE sku = (SELECT min(sku) FROM shop.products)",
        "day": (
            "INSERT INTO shop.events (account_id, sku, event_type) SELECT a.id, p.sku, 'purchase'"
            " FROM (SELECT id FROM shop.accounts ORDER BY id LIMIT 50) AS a,"
            " (SELECT sku FROM shop.products ORDER BY sku LIMIT 2) AS p",
            "UPDATE shop.products SET name = 'RENAMED' WHERE sku = (SELECT max(sku) FROM shop.products)",
        ),
        "leaves": "SELECT max(id::text) FROM shop.accounts",
        "leaving": (
            "UPDATE shop.accounts SET deleted_at = now()"
            " WHERE id = (SELECT max(id::text)::uuid FROM shop.accounts)",
        ),
        "seen": "SELECT DISTINCT sku FROM shop.events WHERE account_id::text = %s",
        "people": 5000,
        "items": 2000,
    },
}


def ours(stack: Stack, query: str, values: Any = None) -> list[tuple[Any, ...]]:
    with (
        closing(
            psycopg2.connect(
                host="127.0.0.1",
                port=stack.settings["DATAFLIX_POSTGRES_PORT"],
                dbname="dataflix",
                user="postgres",
                password=stack.settings["DATAFLIX_POSTGRES_ADMIN_PASSWORD"],
            )
        ) as connection,
        connection.cursor() as cursor,
    ):
        cursor.execute(query, values)
        return list(cursor.fetchall())


def wait_until_copied(stack: Stack, query: str, wanted: list[tuple[Any, ...]]) -> None:
    """Wait for the copy that runs beside the stack."""
    waiting = Retrying(
        retry=retry_if_result(lambda found: found != wanted),
        stop=stop_after_delay(COPIED_TIMEOUT_S),
        wait=wait_fixed(0.5),
    )
    waiting(lambda: ours(stack, query))


def check_list(stack: Stack, other: Application, seen_query: str) -> None:
    """A list has items that are new to its person, and reasons that they know."""
    ((key,),) = ours(
        stack,
        "SELECT source_key FROM source.people JOIN interactions USING (user_id)"
        " GROUP BY user_id, 1 ORDER BY count(*) DESC, user_id LIMIT 1",
    )
    seen = {item for (item,) in other.rows(seen_query, values=(key,))}
    answer = stack.api(f"/recommendations/{key}?n=10")
    assert answer["meta"]["source"] == "model"
    assert len(answer["data"]) == 10
    for entry in answer["data"]:
        assert str(entry["movie_id"]) not in seen
        because = {str(reason["movie_id"]) for reason in entry["reason"]["because"]}
        assert because
        assert because <= seen


@pytest.mark.your_own_database
def test_an_application_that_is_not_ours(stack: Stack) -> None:
    other = stack.application
    assert other is not None
    life: dict[str, Any] = LIVES[other.name]
    before = other.schema()
    stack.environ |= other.settings | {"DATAFLIX_SOURCE_COPY_SECONDS": "5"}
    description = str(other.description)

    with other.at_work(life["always"]):
        # Without its triggers nothing starts, and the message says how they are made.
        refused = stack.command("run.sh", "--source", description)
        assert refused.returncode == 1
        assert "`./run.sh source script` prints what makes it" in refused.stderr
        assert stack.command("run.sh", "status").returncode == 1
        script = stack.command("run.sh", "source", "script", description, "--user", f"{other.name}_owner")
        assert script.returncode == 0, script.stderr
        other.run_script(script.stdout)

        started = stack.command("run.sh", "--source", description, timeout=TIMEOUT_S)
        assert started.returncode == 0, started.stderr
        assert "Top recommendations" in started.stdout
        stack.read_settings()
        assert stack.settings["DATAFLIX_SOURCE_FILE"] == description
        assert ours(stack, "SELECT (SELECT count(*) FROM users), (SELECT count(*) FROM movies)") == [
            (life["people"], life["items"])
        ]
        check_list(stack, other, life["seen"])

        leaves = life["leaves"]
        if leaves.startswith("SELECT"):
            ((leaves,),) = other.rows(leaves)
        ((leaver,),) = ours(stack, "SELECT user_id FROM source.people WHERE source_key = %s", (leaves,))
        for statement in (*life["day"], *life["leaving"]):
            other.rows(statement)
        # The stack copies by itself what the application does.
        wait_until_copied(stack, "SELECT count(*) FROM movies WHERE title = 'RENAMED'", [(1,)])
        wait_until_copied(stack, "SELECT user_id, verified_at FROM erasures", [(leaver, None)])

        again = stack.command("run.sh", "pipeline", timeout=TIMEOUT_S)
        assert again.returncode == 0, again.stderr
    assert other.failures == []
    assert other.statements > 0
    runs = stack.airflow("dags/elt_pipeline/dagRuns?limit=10")["dag_runs"]
    assert [run["state"] for run in runs] == ["success", "success"]
    # Nobody is left of whom the application deleted.
    assert ours(stack, "SELECT count(*), count(verified_at), count(user_id) FROM erasures") == [(1, 1, 0)]
    assert ours(stack, "SELECT count(*) FROM source.people WHERE source_key = %s", (leaves,)) == [(0,)]
    check_list(stack, other, life["seen"])

    status = json.loads(stack.command("run.sh", "status", "--json").stdout)["source"]
    assert (status["source"], status["mode"], status["problem"]) == (other.name, "triggers", None)
    assert status["guarantee"].startswith("Every committed change")
    settings = stack_settings.Settings(
        {**stack.settings, "DATAFLIX_HOME": str(stack.home)}, stack.env_file, stack.home
    )
    assert [
        outcome.detail for outcome in run_checks(doctor.checks(settings), settings) if not outcome.works
    ] == []

    # All that is new in its database is our schema and the triggers that call it.
    diff = list(difflib.unified_diff(before, other.schema("--exclude-schema=dataflix"), lineterm="", n=0))[2:]
    changed = [line for line in diff if not line.startswith("@@")]
    assert changed
    assert all(line.startswith("+") and "zz_dataflix" in line for line in changed), changed
    removal = stack.command("run.sh", "source", "script", description, "--remove")
    other.run_script(removal.stdout)
    assert other.schema() == before
    other.rows(life["always"])
