"""The Native format's block header, for results without rows.

The engine sends no Native bytes when there is no row, but a client learns the columns' names and types from
the first block, so a block of zero rows has to be sent in their place.
"""

import json


def header_of_description(answer: bytes) -> bytes:
    """Return a block of zero rows from DESCRIBE's answer as JSONCompact."""
    return header([(row[0], row[1]) for row in json.loads(answer)["data"]])


def header_of_meta(answer: bytes) -> bytes:
    """Return a block of zero rows from the `meta` of any JSON answer."""
    return header([(column["name"], column["type"]) for column in json.loads(answer)["meta"]])


def header(columns: list[tuple[str, str]]) -> bytes:
    """Return a block with these columns (name, type) and no row."""
    block = bytearray(_varint(len(columns)) + _varint(0))
    for name, kind in columns:
        block += _string(name) + _string(kind)
    return bytes(block)


def _string(text: str) -> bytes:
    encoded = text.encode(errors="surrogateescape")
    return _varint(len(encoded)) + encoded


def _varint(number: int) -> bytes:
    out = bytearray()
    while number >= 0x80:  # noqa: PLR2004  seven bits a byte, the eighth says that more follow
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)
