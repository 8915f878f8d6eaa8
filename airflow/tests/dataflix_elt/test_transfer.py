"""The pipe between a pushing writer and a pulling reader."""

import io
import os
import threading
from typing import BinaryIO

import pytest

from dataflix_elt.loading.stream import CHUNK_BYTES, streamed


def no_cancel() -> None:
    raise AssertionError("the writer had ended: there was nothing to cancel")


def test_all_bytes_arrive_in_order() -> None:
    data = os.urandom(3 * CHUNK_BYTES + 17)

    def write(sink: BinaryIO) -> None:
        for start in range(0, len(data), 1000):
            sink.write(data[start : start + 1000])

    with streamed(write, no_cancel) as stream:
        received = b"".join(stream)

    assert received == data
    assert stream.transferred == len(data)


def test_a_writer_s_error_reaches_the_reader_after_what_it_wrote() -> None:
    def write(sink: BinaryIO) -> None:
        sink.write(b"half")
        raise io.UnsupportedOperation("broke")

    with streamed(write, no_cancel) as stream:
        chunks = iter(stream)
        assert next(chunks) == b"half"
        with pytest.raises(io.UnsupportedOperation, match="broke"):
            next(chunks)


def test_a_reader_that_leaves_ends_the_writer() -> None:
    ended = threading.Event()
    cancelled = threading.Event()

    def write(sink: BinaryIO) -> None:
        try:
            while True:
                sink.write(b"x" * CHUNK_BYTES)
        finally:
            ended.set()

    with streamed(write, cancelled.set) as stream:
        next(iter(stream))

    assert ended.is_set()
    assert "dataflix-elt-writer" not in [thread.name for thread in threading.enumerate()]


def test_a_reader_that_leaves_cancels_a_writer_that_waits() -> None:
    cancelled = threading.Event()

    def write(_: BinaryIO) -> None:
        assert cancelled.wait(30)

    with streamed(write, cancelled.set):
        pass

    assert cancelled.is_set()
