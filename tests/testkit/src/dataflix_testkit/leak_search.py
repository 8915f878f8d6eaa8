"""People with unmistakable names, and a search for them in files of any kind."""

import base64
import gzip
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import lz4.block
import psycopg2
import zstandard

# No word, hash or id contains it, and every canary does.
MARKER = "zqxcanary"
DOMAIN = "zqxcanary.example.org"

_BLOCK = struct.Struct("<16xBII")
_NONE, _LZ4, _ZSTD = 0x02, 0x82, 0x90


def marked_user(number: int) -> dict[str, str]:
    """Return one of them, as the API takes users."""
    return {
        "username": f"{MARKER}{number}",
        "email": f"{MARKER}.{number}@{DOMAIN}",
        "first_name": f"{MARKER.title()}first{number}",
        "last_name": f"{MARKER.title()}last{number}",
    }


def encodings(text: str = MARKER) -> list[bytes]:
    """Return the text as it may stand in a file, in lower case where case does not matter."""
    plain = text.encode()
    packed = []
    for word in (plain, plain.title(), plain.upper()):
        for shift in range(3):
            # The first and last characters depend on what stands around it.
            coded = base64.b64encode(b"\0" * shift + word)
            packed.append(coded[4 if shift else 0 : -4].lower())
    wide = [text.encode("utf-16-le"), text.encode("utf-16-be"), text.encode("utf-32-le")]
    return [
        plain,
        plain[::-1],
        plain.hex().encode(),
        "".join(f"%{byte:02x}" for byte in plain).encode(),
        *wide,
        *packed,
    ]


def find_in_files(folder: Path, *, exclude: frozenset[str]) -> list[str]:
    """Search every file under `folder`, packed or not; returns the paths and what was found there.

    Args:
        exclude: names of folders directly under it.
    """
    wanted = encodings()
    found = []
    for path in sorted(folder.rglob("*")):
        inside = path.relative_to(folder)
        if inside.parts[0] in exclude or path.is_symlink() or not path.is_file():
            continue
        if MARKER in str(inside).lower():
            found.append(f"{inside}: in the name")
        for content in _contents(path):
            data = content.lower()
            found += [f"{inside}: {form!r}" for form in wanted if form in data]
    return found


def find_in_database(dsn: str) -> list[str]:
    """Search every row of every table of a Postgres database; returns the tables, bytes as text or not."""
    wanted = f"{MARKER}|{MARKER.encode().hex()}"
    found = []
    connection = psycopg2.connect(dsn)
    with closing(connection), connection.cursor() as cursor:
        cursor.execute(
            "SELECT format('%I.%I', schemaname, tablename) FROM pg_tables"
            " WHERE schemaname NOT IN ('pg_catalog', 'information_schema')"
        )
        tables = [row[0] for row in cursor.fetchall()]
        assert tables
        for table in tables:
            cursor.execute(f"SELECT count(*) FROM {table} AS t WHERE t::text ~* %s", (wanted,))
            ((count,),) = cursor.fetchall()
            if count:
                found.append(f"{connection.info.dbname}.{table}: {count} rows")
    return found


def _contents(path: Path) -> Iterator[bytes]:
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return
    yield data
    if path.suffix == ".bin":
        yield b"".join(_unpacked(data))
    elif data[:2] == b"\x1f\x8b":
        yield gzip.decompress(data)
    elif data[:4] == b"\x28\xb5\x2f\xfd":
        yield zstandard.ZstdDecompressor().decompressobj().decompress(data)
    elif data[:1] == b"\x78" and path.suffix in (".z", ".zlib"):
        yield zlib.decompress(data)
    elif zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            yield from (archive.read(name) for name in archive.namelist())


def _unpacked(data: bytes) -> Iterator[bytes]:
    """Unpack a column of ClickHouse; what is no such file is left as it is."""
    place = 0
    while place + _BLOCK.size <= len(data):
        method, packed_size, size = _BLOCK.unpack_from(data, place)
        body = data[place + _BLOCK.size : place + 16 + packed_size]
        if method == _LZ4:
            yield lz4.block.decompress(body, uncompressed_size=size)
        elif method == _ZSTD:
            yield zstandard.ZstdDecompressor().decompress(body, max_output_size=size)
        elif method == _NONE:
            yield body
        else:
            return
        place += 16 + packed_size
