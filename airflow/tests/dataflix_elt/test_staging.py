"""Names of staging tables say which load they belong to and when they expire."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataflix_elt.tables import TABLE_NAMES
from dataflix_elt.warehouse.staging_table import RETIRED_GRACE, StagingTable, owner_of

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@given(
    st.sampled_from(TABLE_NAMES),
    st.sampled_from(["staging", "retired"]),
    st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001
    st.text(min_size=1),
    st.integers(1, 99),
)
def test_a_name_is_parsed_as_it_was_written(
    table: str, role: str, since: datetime, run_id: str, attempt: int
) -> None:
    side = StagingTable(table, role, since.replace(microsecond=0), owner_of(run_id, attempt, since))

    assert StagingTable.parse(side.name) == side


@pytest.mark.parametrize(
    "name", ["ratings", "load_audit", "ratings__staging", "ratings__staging_20260102T030405_", "x__y"]
)
def test_names_of_other_tables_are_not_parsed(name: str) -> None:
    assert StagingTable.parse(name) is None


def test_a_retired_table_expires_once_no_query_can_read_it() -> None:
    side = StagingTable("ratings", "retired", NOW, "0" * 12)

    assert not side.is_expired(NOW + RETIRED_GRACE - timedelta(seconds=1))
    assert side.is_expired(NOW + RETIRED_GRACE)
    assert not side.is_expired(NOW - timedelta(seconds=1)), "put aside just now, by another load"
    assert side.is_expired(NOW - timedelta(days=365)), "the clock was set back since"
    assert not replace(side, role="staging").is_expired(NOW + timedelta(days=1))


def test_each_try_has_its_own_owner() -> None:
    owners = {
        owner_of("run", 1, NOW),
        owner_of("run", 2, NOW),
        owner_of("other", 1, NOW),
        owner_of("run", 1, NOW + timedelta(microseconds=1)),
    }

    assert len(owners) == 4
