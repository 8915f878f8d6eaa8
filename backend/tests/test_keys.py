"""API keys from creation to refusal, also while Postgres is away."""

import itertools
import json
import subprocess
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from flask import Flask

from dataflix_backend.api_key import PREFIX, ApiKey, new_secret, secret_hash
from dataflix_backend.database import Database
from dataflix_backend.exceptions import RateLimitedError, UnavailableError
from dataflix_backend.queries.api_keys import BOOTSTRAP, find_key, list_keys, revoke_key, rotate_key
from dataflix_backend.services.access import api_key_cache as cache_module
from dataflix_backend.services.access.api_key_cache import ApiKeyCache
from dataflix_backend.services.access.key_cache_file import KeyCacheFile
from dataflix_backend.services.access.rate_limiter import UNKNOWN_KEYS_PER_SECOND, RateLimiter
from dataflix_backend.services.access.shared_counters import SharedCounters
from dataflix_backend.settings import PostgresSettings
from dataflix_testkit import PostgresServer, free_port
from dataflix_testkit.process import clean_environ

from .support import data
from .support.api import API_KEY, ApiClient
from .support.keys import database, make_key
from .support.server import COMMAND

names = (f"named-{number}" for number in itertools.count())


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


NewCache = Callable[[str], ApiKeyCache]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def cache_file(tmp_path: Path) -> KeyCacheFile:
    return KeyCacheFile(tmp_path / "backend" / "known-keys.json")


@pytest.fixture
def new_cache(pg: PostgresServer, clock: Clock, cache_file: KeyCacheFile) -> Iterator[NewCache]:
    """Makes the cache of a worker with this key in `.env`; what it started ends with the test."""
    made: list[tuple[ApiKeyCache, Database]] = []

    def new(secret: str) -> ApiKeyCache:
        asked = database(pg)
        limiter = RateLimiter(0, 0, SharedCounters.private())
        made.append((ApiKeyCache(asked, secret, limiter, cache_file, clock=clock), asked))
        return made[-1][0]

    yield new
    for cache, asked in made:
        cache.refreshing.stop()
        assert cache.refreshing.join(60)
        asked.close()


@pytest.fixture
def keys(app: Flask, new_cache: NewCache) -> ApiKeyCache:
    return new_cache(API_KEY)


def keys_command(pg: PostgresServer, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [COMMAND, "keys", *words], env=clean_environ(pg.environ), capture_output=True, text=True, check=False
    )


def cut_off(keys: ApiKeyCache, pg: PostgresServer) -> None:
    """Let the cache ask a port without a server."""
    environ = {**pg.environ, "DATAFLIX_POSTGRES_PORT": str(free_port())}
    keys._database = Database(PostgresSettings.from_environ(environ), 1)


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


def test_the_key_of_the_first_run_is_an_admin_key(keys: ApiKeyCache) -> None:
    key = keys.find(API_KEY)
    assert key is not None
    assert key.is_admin
    assert key.key_id is not None


def test_a_good_key_costs_no_round_trip_until_it_is_two_seconds_old(
    keys: ApiKeyCache, pg: PostgresServer, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = make_key(pg, ["read"])
    asked = []
    find = find_key

    def counted(*arguments: object) -> ApiKey | None:
        asked.append(clock.now)
        return find(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(cache_module, "find_key", counted)
    for step in range(41):
        clock.now = 1000 + step / 10
        assert keys.find(secret)
    assert asked == [1000.0, 1002.0, 1004.0]


def test_a_revoked_key_is_refused_after_two_seconds(
    keys: ApiKeyCache, pg: PostgresServer, clock: Clock
) -> None:
    name = next(names)
    secret = make_key(pg, ["read"], name=name)
    assert keys.find(secret)
    revoke_key(database(pg), name)
    clock.now += cache_module.FRESH_S
    assert keys.find(secret) is None


def test_both_secrets_are_good_until_the_overlap_ends(
    keys: ApiKeyCache, pg: PostgresServer, clock: Clock
) -> None:
    name = next(names)
    old, new = make_key(pg, ["write"], name=name), new_secret()
    rotate_key(database(pg), name, timedelta(hours=1), secret_hash(new))
    first, second = keys.find(old), keys.find(new)
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
    clock.now += cache_module.FRESH_S
    assert keys.find(old) is None
    assert keys.find(new) == second


def test_known_keys_work_without_postgres_for_a_day_and_unknown_ones_wait(
    keys: ApiKeyCache, pg: PostgresServer, clock: Clock
) -> None:
    known, unknown = make_key(pg, ["read"]), make_key(pg, ["read"])
    assert keys.find(known)
    cut_off(keys, pg)
    for after in (10.0, cache_module.LAST_KNOWN_S - 10):
        clock.now = 1000 + after
        assert keys.find(known)
        with pytest.raises(UnavailableError):
            keys.find(unknown)
    clock.now = 1000 + cache_module.LAST_KNOWN_S
    with pytest.raises(UnavailableError):
        keys.find(known)
    bootstrap = keys.find(API_KEY)
    assert bootstrap is not None
    assert (bootstrap.key_id, bootstrap.is_admin) == (None, True)


def test_a_secret_that_ends_while_postgres_is_away_ends(
    keys: ApiKeyCache, pg: PostgresServer, clock: Clock
) -> None:
    name = next(names)
    old = make_key(pg, ["read"], name=name)
    rotate_key(database(pg), name, timedelta(minutes=1), secret_hash(new_secret()))
    assert keys.find(old)
    cut_off(keys, pg)
    clock.now += 59
    assert keys.find(old)
    clock.now += 1 + cache_module.FRESH_S
    assert keys.find(old) is None


def test_a_key_revoked_before_postgres_goes_away_does_not_come_back(
    keys: ApiKeyCache, pg: PostgresServer, clock: Clock
) -> None:
    name = next(names)
    secret, other = make_key(pg, ["read"], name=name), make_key(pg, ["read"])
    assert keys.find(secret)
    assert keys.find(other)
    revoke_key(database(pg), name)
    # The key is not sent again; the worker refreshes the keys that it knows.
    clock.now += cache_module.REFRESH_INTERVAL_S
    keys.refresh()
    cut_off(keys, pg)
    clock.now += cache_module.FRESH_S
    assert keys.find(other)
    with pytest.raises(UnavailableError):
        keys.find(secret)


def test_a_worker_that_starts_while_postgres_is_away_knows_the_keys_of_others(
    keys: ApiKeyCache, pg: PostgresServer, clock: Clock, cache_file: KeyCacheFile
) -> None:
    secret, revoked = make_key(pg, ["read", "write"]), next(names)
    gone = make_key(pg, ["read"], name=revoked)
    known = keys.find(secret)
    assert keys.find(gone)
    keys.refresh()
    other = ApiKeyCache(
        database(pg), API_KEY, RateLimiter(0, 0, SharedCounters.private()), cache_file, clock=clock
    )
    revoke_key(database(pg), revoked)
    # Another worker, which knows neither, keeps the one on disk and drops the other.
    other.refresh()
    started = ApiKeyCache(
        database(pg), API_KEY, RateLimiter(0, 0, SharedCounters.private()), cache_file, clock=clock
    )
    cut_off(started, pg)
    started.load_file()
    assert started.find(secret) == known
    with pytest.raises(UnavailableError):
        started.find(gone)
    path = cache_file._path
    assert path.stat().st_mode & 0o777 == 0o600
    assert secret not in path.read_text()


@pytest.mark.parametrize(
    "content",
    [
        *(b"", b"{", b"[]", b"null", b'{"found_at": 1}', b'{"found_at": 1, "keys": {"zz": {}}}'),
        b'{"found_at": 1, "keys": {"00": {"key_id": "1", "scopes": [], "user_id": 1, "ends_in_s": "5"}}}',
    ],
)
def test_a_damaged_cache_file_is_ignored(cache_file: KeyCacheFile, content: bytes) -> None:
    cache_file._path.parent.mkdir()
    cache_file._path.write_bytes(content)
    assert cache_file.load() == ({}, 0.0)


def test_unknown_keys_are_bounded_and_known_ones_are_not(keys: ApiKeyCache, pg: PostgresServer) -> None:
    known = make_key(pg, ["read"])
    assert keys.find(known)

    def guess() -> None:
        for _ in range(100 * UNKNOWN_KEYS_PER_SECOND):
            assert keys.find(new_secret()) is None

    with pytest.raises(RateLimitedError) as refused:
        guess()
    assert refused.value.retry_after_s == 1
    assert keys.find(known)


def test_a_new_key_in_env_replaces_the_first_for_good(
    pg: PostgresServer, app: Flask, clock: Clock, new_cache: NewCache
) -> None:
    first, second = (f"key-of-the-env-file-{number}" for number in "12")
    caches = {secret: new_cache(secret) for secret in (first, second)}
    try:
        for keys in caches.values():
            keys.start()
        assert caches[second].find(second)
        assert caches[second].find(first) is None
        # A worker that still has the old .env does not bring it back.
        clock.now += cache_module.FRESH_S
        assert caches[first].find(first) is None
    finally:
        _forget_secrets(pg)


def test_a_revoked_bootstrap_key_stays_revoked_when_the_api_starts_again(
    pg: PostgresServer, new_cache: NewCache
) -> None:
    secret = "key-of-the-env-file-4"
    try:
        new_cache(secret).start()
        revoke_key(database(pg), BOOTSTRAP)
        again = new_cache(secret)
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
            "SELECT action FROM access.audit_log WHERE target = %s ORDER BY entry_id",
            (f"key_id={listed['key_id']}",),
        )
        assert cursor.fetchall() == [("keys create",), ("keys rotate",), ("keys revoke",)]
        # A key may be named after a person, and the log outlives an erasure.
        cursor.execute(
            "SELECT count(*) FROM access.audit_log AS a WHERE position(%s IN a::text) > 0", (name,)
        )
        assert cursor.fetchone() == (0,)
    connection.close()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("create", "a b", "--scope", "read"), "1 to 64"),
        (("create", "x"), "--scope"),
        (("create", "x", "--scope", "root"), "root"),
        (("create", BOOTSTRAP, "--scope", "read"), ".env"),
        (("create", "x", "--scope", "admin", "--user", "1"), "can't have the scope admin"),
        (("create", "x", "--scope", "read", "--user", "999999999"), "no user with the id 999999999"),
        (("rotate", "nobody"), "no key named nobody"),
        (("revoke", "nobody"), "no key named nobody"),
    ],
)
def test_a_refused_command_says_why(pg: PostgresServer, words: tuple[str, ...], message: str) -> None:
    ended = keys_command(pg, *words)
    assert ended.returncode in (1, 2)
    assert ended.stdout == ""
    assert message in ended.stderr


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


def test_the_keys_of_a_deleted_user_are_deleted(
    keys: ApiKeyCache, pg: PostgresServer, api: ApiClient, clock: Clock
) -> None:
    user = api.new_user()
    secret = make_key(pg, ["read"], user)
    assert keys.find(secret)
    connection = data.connect(pg.dsn("postgres"))
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM users WHERE user_id = %s", (user,))
    connection.close()
    clock.now += cache_module.FRESH_S
    assert keys.find(secret) is None
