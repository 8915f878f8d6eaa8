"""Keys from the command that makes them to the moment they are refused, also while Postgres is away."""

import itertools
import json
import subprocess
from datetime import timedelta
from pathlib import Path

import pytest
from flask import Flask

from dataflix_backend.access import ring as ring_module
from dataflix_backend.access.keys import PREFIX, Key, new_secret, secret_hash
from dataflix_backend.access.known_file import KnownFile
from dataflix_backend.access.rates import UNKNOWN_KEYS_PER_SECOND, Rates
from dataflix_backend.access.ring import KeyRing
from dataflix_backend.access.shelf import Shelf
from dataflix_backend.database import Database
from dataflix_backend.errors import Problem, UnavailableProblem
from dataflix_backend.queries.keys import BOOTSTRAP, find_key, list_keys, revoke_key, rotate_key
from dataflix_backend.settings import PostgresSettings
from dataflix_testkit import PostgresServer, free_port
from dataflix_testkit.process import clean_environ

from .support import data
from .support.api import API_KEY, ApiClient
from .support.keys import database, make_key
from .support.server import COMMAND

names = (f"named-{number}" for number in itertools.count())


class Clock:
    """A clock that moves when told."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def known_file(tmp_path: Path) -> KnownFile:
    return KnownFile(tmp_path / "backend" / "known-keys.json")


@pytest.fixture
def ring(pg: PostgresServer, app: Flask, clock: Clock, known_file: KnownFile) -> KeyRing:
    return KeyRing(database(pg), API_KEY, Rates(0, 0, Shelf.private()), known_file, clock=clock)


def keys_command(pg: PostgresServer, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [COMMAND, "keys", *words], env=clean_environ(pg.environ), capture_output=True, text=True, check=False
    )


def cut_off(ring: KeyRing, pg: PostgresServer) -> None:
    """Let the ring ask a port where nobody is."""
    environ = {**pg.environ, "DATAFLIX_POSTGRES_PORT": str(free_port())}
    ring._database = Database(PostgresSettings.from_environ(environ), 1)


def test_secrets_are_long_prefixed_and_never_alike() -> None:
    made = {new_secret() for _ in range(1000)}
    assert len(made) == 1000
    assert all(secret.startswith(PREFIX) and len(secret) == len(PREFIX) + 43 for secret in made)


def test_only_the_hash_is_stored(pg: PostgresServer, app: Flask) -> None:
    secret = make_key(pg, ["read"])
    connection = data.connect(pg.dsn("postgres"))
    with connection.cursor() as cursor:
        cursor.execute("SELECT string_agg(s::text, ' ') FROM access.api_key_secrets AS s")
        (stored,) = cursor.fetchone()
        cursor.execute("SELECT string_agg(k::text, ' ') FROM access.api_keys AS k")
        stored += cursor.fetchone()[0]
    connection.close()
    assert secret_hash(secret).hex() in stored
    assert secret not in stored
    assert API_KEY not in stored


def test_the_key_of_the_first_run_is_an_administrator_s(ring: KeyRing) -> None:
    key = ring.find(API_KEY)
    assert key is not None
    assert key.is_admin
    assert key.key_id is not None


def test_a_good_key_costs_no_round_trip_until_it_is_two_seconds_old(
    ring: KeyRing, pg: PostgresServer, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = make_key(pg, ["read"])
    asked = []
    find = find_key

    def counted(*arguments: object) -> Key | None:
        asked.append(clock.now)
        return find(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(ring_module, "find_key", counted)
    for step in range(41):
        clock.now = 1000 + step / 10
        assert ring.find(secret)
    assert asked == [1000.0, 1002.0, 1004.0]


def test_a_revoked_key_is_refused_after_two_seconds(ring: KeyRing, pg: PostgresServer, clock: Clock) -> None:
    name = next(names)
    secret = make_key(pg, ["read"], name=name)
    assert ring.find(secret)
    revoke_key(database(pg), name)
    clock.now += ring_module.FRESH_S
    assert ring.find(secret) is None


def test_both_secrets_are_good_until_the_overlap_ends(
    ring: KeyRing, pg: PostgresServer, clock: Clock
) -> None:
    name = next(names)
    old, new = make_key(pg, ["write"], name=name), new_secret()
    rotate_key(database(pg), name, timedelta(hours=1), secret_hash(new))
    first, second = ring.find(old), ring.find(new)
    assert first is not None
    assert second is not None
    assert (first.key_id, first.scopes) == (second.key_id, second.scopes)
    assert first.ends_in_s == pytest.approx(3600, abs=60)
    assert second.ends_in_s is None
    connection = data.connect(pg.dsn("postgres"))
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE access.api_key_secrets SET expires_at = now() WHERE secret_hash = %s", (secret_hash(old),)
        )
    connection.close()
    clock.now += ring_module.FRESH_S
    assert ring.find(old) is None
    assert ring.find(new) == second


def test_known_keys_work_without_postgres_for_a_day_and_unknown_ones_wait(
    ring: KeyRing, pg: PostgresServer, clock: Clock
) -> None:
    known, unknown = make_key(pg, ["read"]), make_key(pg, ["read"])
    assert ring.find(known)
    cut_off(ring, pg)
    for after in (10.0, ring_module.LAST_KNOWN_S - 10):
        clock.now = 1000 + after
        assert ring.find(known)
        with pytest.raises(UnavailableProblem):
            ring.find(unknown)
    clock.now = 1000 + ring_module.LAST_KNOWN_S
    with pytest.raises(UnavailableProblem):
        ring.find(known)
    bootstrap = ring.find(API_KEY)
    assert bootstrap is not None
    assert (bootstrap.key_id, bootstrap.is_admin) == (None, True)


def test_a_secret_that_ends_while_postgres_is_away_ends(
    ring: KeyRing, pg: PostgresServer, clock: Clock
) -> None:
    name = next(names)
    old = make_key(pg, ["read"], name=name)
    rotate_key(database(pg), name, timedelta(minutes=1), secret_hash(new_secret()))
    assert ring.find(old)
    cut_off(ring, pg)
    clock.now += 59
    assert ring.find(old)
    clock.now += 1 + ring_module.FRESH_S
    assert ring.find(old) is None


def test_a_key_revoked_before_postgres_goes_away_does_not_come_back(
    ring: KeyRing, pg: PostgresServer, clock: Clock
) -> None:
    name = next(names)
    secret, other = make_key(pg, ["read"], name=name), make_key(pg, ["read"])
    assert ring.find(secret)
    assert ring.find(other)
    revoke_key(database(pg), name)
    # Nobody sends the key again; the worker looks after what it knows by itself.
    clock.now += ring_module.LOOK_AFTER_S
    ring.look_after()
    cut_off(ring, pg)
    clock.now += ring_module.FRESH_S
    assert ring.find(other)
    with pytest.raises(UnavailableProblem):
        ring.find(secret)


def test_a_worker_born_while_postgres_is_away_knows_what_others_knew(
    ring: KeyRing, pg: PostgresServer, clock: Clock, known_file: KnownFile
) -> None:
    secret, revoked = make_key(pg, ["read", "write"]), next(names)
    gone = make_key(pg, ["read"], name=revoked)
    known = ring.find(secret)
    assert ring.find(gone)
    ring.look_after()
    other = KeyRing(database(pg), API_KEY, Rates(0, 0, Shelf.private()), known_file, clock=clock)
    revoke_key(database(pg), revoked)
    # Another worker, which knows neither, keeps the one on disk and drops the other.
    other.look_after()
    born = KeyRing(database(pg), API_KEY, Rates(0, 0, Shelf.private()), known_file, clock=clock)
    cut_off(born, pg)
    born.learn()
    assert born.find(secret) == known
    with pytest.raises(UnavailableProblem):
        born.find(gone)
    path = known_file._path
    assert path.stat().st_mode & 0o777 == 0o600
    assert secret not in path.read_text()


@pytest.mark.parametrize(
    "content",
    [
        *(b"", b"{", b"[]", b"null", b'{"found_at": 1}', b'{"found_at": 1, "keys": {"zz": {}}}'),
        b'{"found_at": 1, "keys": {"00": {"key_id": "1", "scopes": [], "user_id": 1, "ends_in_s": "5"}}}',
    ],
)
def test_a_file_of_known_keys_that_is_not_whole_says_nothing(known_file: KnownFile, content: bytes) -> None:
    known_file._path.parent.mkdir()
    known_file._path.write_bytes(content)
    assert known_file.load() == ({}, 0.0)


def test_unknown_keys_are_bounded_and_known_ones_are_not(ring: KeyRing, pg: PostgresServer) -> None:
    known = make_key(pg, ["read"])
    assert ring.find(known)

    def guess() -> None:
        for _ in range(100 * UNKNOWN_KEYS_PER_SECOND):
            assert ring.find(new_secret()) is None

    with pytest.raises(Problem) as refused:
        guess()
    assert (refused.value.status, refused.value.headers["Retry-After"]) == (429, "1")
    assert ring.find(known)


def test_another_key_in_env_takes_the_place_of_the_first_for_good(
    pg: PostgresServer, app: Flask, clock: Clock, known_file: KnownFile
) -> None:
    first, second = (f"key-of-the-env-file-{number}" for number in "12")
    rings = {
        secret: KeyRing(database(pg), secret, Rates(0, 0, Shelf.private()), known_file, clock=clock)
        for secret in (first, second)
    }
    try:
        for ring in rings.values():
            ring.start()
        assert rings[second].find(second)
        assert rings[second].find(first) is None
        # A worker that still has the old .env does not bring it back.
        clock.now += ring_module.FRESH_S
        assert rings[first].find(first) is None
    finally:
        _forget_secrets(pg)


def test_a_revoked_bootstrap_key_stays_revoked_when_the_api_starts_again(
    pg: PostgresServer, known_file: KnownFile
) -> None:
    secret = "key-of-the-env-file-4"
    try:
        KeyRing(database(pg), secret, Rates(0, 0, Shelf.private()), known_file).start()
        revoke_key(database(pg), BOOTSTRAP)
        again = KeyRing(database(pg), secret, Rates(0, 0, Shelf.private()), known_file)
        again.start()
        assert again.find(secret) is None
    finally:
        _forget_secrets(pg)


def _forget_secrets(pg: PostgresServer) -> None:
    """Let the key that all other tests send be the bootstrap key again."""
    connection = data.connect(pg.dsn("postgres"))
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM access.api_keys WHERE name = %s", (BOOTSTRAP,))
    connection.close()


def test_keys_are_made_listed_rotated_and_revoked_by_command(
    pg: PostgresServer, api: ApiClient, user: int
) -> None:
    name = next(names)
    made = keys_command(pg, "create", name, "--scope", "read", "--scope", "write", "--user", str(user))
    secret = made.stdout.strip()
    assert made.returncode == 0, made.stderr
    assert secret.startswith(PREFIX)
    assert api.get(f"/users/{user}", key=secret).status == 200
    rotated = keys_command(pg, "rotate", name, "--overlap", "1")
    assert rotated.returncode == 0, rotated.stderr
    assert api.get(f"/users/{user}", key=rotated.stdout.strip()).status == 200
    (listed,) = [row for row in json.loads(keys_command(pg, "list", "--json").stdout) if row["name"] == name]
    assert (listed["scopes"], listed["user_id"], listed["good_secrets"]) == (["read", "write"], user, 2)
    shown = keys_command(pg, "list").stdout
    assert name in shown
    assert secret not in shown
    assert keys_command(pg, "revoke", name).returncode == 0
    assert next(row for row in list_keys(database(pg)) if row["name"] == name)["revoked_at"]
    connection = data.connect(pg.dsn("postgres"))
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT action FROM access.audit_log WHERE target = %s ORDER BY entry_id", (f"key={name}",)
        )
        assert cursor.fetchall() == [("keys create",), ("keys rotate",), ("keys revoke",)]
    connection.close()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("create", "a b", "--scope", "read"), "1 to 64"),
        (("create", "x"), "--scope"),
        (("create", "x", "--scope", "root"), "root"),
        (("create", BOOTSTRAP, "--scope", "read"), ".env"),
        (("create", "x", "--scope", "admin", "--user", "1"), "can't be an administrator's"),
        (("create", "x", "--scope", "read", "--user", "999999999"), "no user with the id 999999999"),
        (("rotate", "nobody"), "no key named nobody"),
        (("revoke", "nobody"), "no key named nobody"),
    ],
)
def test_what_cannot_be_done_is_told(pg: PostgresServer, words: tuple[str, ...], told: str) -> None:
    ended = keys_command(pg, *words)
    assert ended.returncode in (1, 2)
    assert ended.stdout == ""
    assert told in ended.stderr


def test_settings_are_found_in_the_env_file(pg: PostgresServer, app: Flask, tmp_path: Path) -> None:
    name = next(names)
    make_key(pg, ["read"], name=name)
    file = tmp_path / "settings.env"
    file.write_text("".join(f"{name}={value}\n" for name, value in pg.environ.items()))
    environ = clean_environ({"DATAFLIX_ENV_FILE": str(file)})
    ended = subprocess.run(
        [COMMAND, "keys", "list"], env=environ, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr
    assert name in ended.stdout


def test_a_user_who_is_deleted_takes_the_key_along(
    ring: KeyRing, pg: PostgresServer, api: ApiClient, clock: Clock
) -> None:
    user = api.new_user()
    secret = make_key(pg, ["read"], user)
    assert ring.find(secret)
    connection = data.connect(pg.dsn("postgres"))
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM users WHERE user_id = %s", (user,))
    connection.close()
    clock.now += ring_module.FRESH_S
    assert ring.find(secret) is None
