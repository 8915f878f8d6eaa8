"""The servers that are not ours, real ones from the tests' kit, and the settings that lead to them."""

from collections.abc import Iterator
from contextlib import contextmanager

from dataflix_stack.config.variables import VARIABLES
from dataflix_testkit import clickhouse, free_port, postgres, s3


@contextmanager
def backing_services() -> Iterator[dict[str, str]]:
    """Run Postgres, ClickHouse and S3 on free ports of 127.0.0.1, which an image in a chroot shares.

    Yields:
        Every DATAFLIX_ variable: the addresses and secrets of these servers, and free ports for ours.
    """
    made = {variable.name: variable.initial_value() for variable in VARIABLES if variable.initial_value}
    made |= {variable.name: str(free_port()) for variable in VARIABLES if variable.is_port}
    with postgres() as database, clickhouse() as warehouse, s3() as storage:
        yield made | database.environ | warehouse.environ | storage.environ
