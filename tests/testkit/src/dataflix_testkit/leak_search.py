"""Users with a marker in each personal field, and a search for that marker in files and databases."""

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

# In every field of a marked user, and in no other word, hash or id.
MARKER = "zqxcanary"
DOMAIN = "zqxcanary.example.org"

_BLOCK = struct.Struct("<16xBII")
_NONE, _LZ4, _ZSTD = 0x02, 0x82, 0x90


def marked_user(number: int) -> dict[str, str]:
    """Return a marked user, as the body of `POST /users`."""
    return {
        "username": f"{MARKER}{number}",
        "email": f"{MARKER}.{number}@{DOMAIN}",
        "first_name": f"{MARKER.title()}first{number}",
        "last_name": f"{MARKER.title()}last{number}",
    }


def encodings(text: str = MARKER) -> list[bytes]:
    """Return the encodings of a text that may be in a file, in lower case."""
    plain = text.encode()
    packed = []
    for word in (plain, plain.title(), plain.upper()):
        for shift in range(3):
            # The first and last characters depend on the text around it.
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
    """Search all files under `folder`, compressed or not; return the paths and what was found there.

    Args:
        folder: the folder to search.
        exclude: names of folders directly under it that are not searched.
    """
    wanted = encodings()
    found = []
    for path in sorted(folder.rglob("*")):
        inside = path.relative_to(folder)
        if inside.parts[0] in exclude or path.is_symlink() or not path.is_file():
            continue
        if MARKER in str(inside).lower():
            found.append(f"{inside}: in the name")
        for content in _file_contents(path):
            data = content.lower()
            found += [f"{inside}: {form!r}" for form in wanted if form in data]
    return found


def find_in_database(dsn: str) -> list[str]:
    """Search every row of every table of a Postgres database, as text and as bytes; return what was found."""
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


def _file_contents(path: Path) -> Iterator[bytes]:
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return
    yield data
    if path.suffix == ".bin":
        yield b"".join(_column_blocks(data))
    elif data[:2] == b"\x1f\x8b":
        yield gzip.decompress(data)
    elif data[:4] == b"\x28\xb5\x2f\xfd":
        yield zstandard.ZstdDecompressor().decompressobj().decompress(data)
    elif data[:1] == b"\x78" and path.suffix in (".z", ".zlib"):
        yield zlib.decompress(data)
    elif zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            yield from (archive.read(name) for name in archive.namelist())


def _column_blocks(data: bytes) -> Iterator[bytes]:
    """Decompress the blocks of a ClickHouse column file; stop at data that are not such a block."""
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
