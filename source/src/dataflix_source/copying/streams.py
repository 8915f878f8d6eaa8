"""Rows from the source into a table of ours, while they are read: neither memory nor a disk holds them."""

import os
import threading

from dataflix_source.client import Session


def stream(source: Session, query: str, own: Session, table: str) -> int:
    """Copy the rows of a query of the source into a table of ours.

    Returns:
        The number of rows.

    Raises:
        psycopg2.Error: either side failed; that of the source, if both did.
    """
    read_end, write_end = os.pipe()
    failures: list[BaseException] = []

    def read_source() -> None:
        try:
            with os.fdopen(write_end, "wb") as sink:
                source.copy_out(query, sink)
        except BaseException as error:  # noqa: BLE001  raised again in the caller's thread
            failures.append(error)

    reader = threading.Thread(target=read_source, name="source-reader")
    reader.start()
    try:
        # Closing our end makes the other one fail instead of waiting for ever.
        with os.fdopen(read_end, "rb") as arriving:
            count = own.copy_in(table, arriving)
    except BaseException as error:
        reader.join()
        # A pipe that broke is the consequence of our failure, not its reason.
        first = [failure for failure in failures if not isinstance(failure, BrokenPipeError)]
        raise (first[0] if first else error) from error
    reader.join()
    if failures:
        raise failures[0]
    return count
