"""The servers whose images are not ours, run as in other tests, and the settings that lead to them."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from dataflix_stack.config.variables import VARIABLES
from dataflix_testkit import clickhouse, free_port, postgres, s3

_NOT_OURS = ("DATAFLIX_POSTGRES_PORT", "DATAFLIX_CLICKHOUSE_PORT", "DATAFLIX_S3_PORT")


@contextmanager
def backing_services() -> Iterator[dict[str, str]]:
    """Run Postgres, ClickHouse and S3 on free ports of 127.0.0.1, which an image in a chroot shares.

    Yields:
        All DATAFLIX_ variables, with the addresses and secrets of these servers.
    """
    initial = {variable.name: variable.initial_value() for variable in VARIABLES if variable.initial_value}
    with postgres() as database, clickhouse() as warehouse, s3() as storage:
        yield initial | database.environ | warehouse.environ | storage.environ


def with_free_ports(values: Mapping[str, str]) -> dict[str, str]:
    """Return the variables with free ports for our own servers.

    To be called just before they start: another program may take a port that was free a minute ago.
    """
    ours = [variable.name for variable in VARIABLES if variable.is_port and variable.name not in _NOT_OURS]
    return {**values, **{name: str(free_port()) for name in ours}}
