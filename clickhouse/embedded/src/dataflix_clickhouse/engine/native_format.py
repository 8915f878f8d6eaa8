"""Builds a Native block without rows.

The engine writes no Native data for an empty result. But clients read column names and types from the first
block, so this server sends a block with zero rows.
"""

import json


def empty_block_from_describe(answer: bytes) -> bytes:
    """Return an empty block for the result of DESCRIBE in JSONCompact."""
    return empty_block([(row[0], row[1]) for row in json.loads(answer)["data"]])


def empty_block_from_meta(answer: bytes) -> bytes:
    """Return an empty block for the `meta` of any JSON result."""
    return empty_block([(column["name"], column["type"]) for column in json.loads(answer)["meta"]])


def empty_block(columns: list[tuple[str, str]]) -> bytes:
    """Return a block with these columns (name, type) and no rows."""
    block = bytearray(_varint(len(columns)) + _varint(0))
    for name, kind in columns:
        block += _string(name) + _string(kind)
    return bytes(block)


def _string(text: str) -> bytes:
    encoded = text.encode(errors="surrogateescape")
    return _varint(len(encoded)) + encoded


def _varint(number: int) -> bytes:
    out = bytearray()
    while number >= 0x80:  # noqa: PLR2004  7 bits a byte; the highest bit says that more follow
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)
