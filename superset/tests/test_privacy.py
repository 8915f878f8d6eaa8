"""What people type into Superset stays in memory and never reaches its metadata, files or log."""

from pathlib import Path

import pytest

from dataflix_testkit import leak_search
from dataflix_testkit.leak_search import MARKER, marked_user
from dataflix_testkit.superset_requests import SupersetClient, send_text_everywhere

from .conftest import Superset

# The first test waits for the set-up of warehouse and Superset: minutes on a busy machine.
pytestmark = pytest.mark.timeout(1800)


def test_names_in_requests_and_errors_are_not_stored(superset: Superset) -> None:
    asked = send_text_everywhere(SupersetClient(superset.url, superset.password), marked_user(1)["username"])
    statuses = {each.what: each.status for each in asked}
    assert statuses["a filter"] == statuses["the same from the cache"] == 200
    assert statuses["a value of the wrong type"] == 400
    assert statuses["the filter state of a dashboard"] == statuses["an unsaved chart"] == 201
    assert statuses["SQL Lab"] == statuses["SQL Lab's tabs"] == statuses["a stored query"] == 403, statuses
    found = leak_search.find_in_database(superset.metadata.dsn("postgres", "superset"))
    folder = Path(superset.environ["DATAFLIX_HOME"]).parent
    found += leak_search.find_in_files(folder, exclude=frozenset())
    assert not found, "\n".join(found)


def test_actions_are_recorded_without_their_content(superset: Superset) -> None:
    events = '[{"event_name": "mount_dashboard", "dashboard_id": 1, "filter": "' + MARKER + '"}]'
    with superset.browser() as session:
        url = superset.url + "/superset/log/?explode=events"
        answer = session.post(url, data={"events": events}, timeout=30)
    assert answer.ok, answer.text
    (row,) = superset.rows("select dashboard_id, user_id, json from logs where json like '%mount%' limit 1")
    assert row[0] == 1
    assert row[1] is not None
