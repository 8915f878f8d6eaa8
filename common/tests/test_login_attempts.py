"""Failed log-ins: counted before their answer, taken back after a right password, whatever the order."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from dataflix_common.login_attempts import (
    MAX_FOR_ALL,
    MAX_FOR_CLIENT,
    WINDOW_S,
    LoginAttempts,
    TooManyAttemptsError,
    client_of,
)


def test_many_at_once_are_limited_like_many_in_turn() -> None:
    attempts = LoginAttempts()
    # All begin before one of them has its answer.
    together = threading.Barrier(2 * MAX_FOR_CLIENT)

    def log_in(_: int) -> bool:
        together.wait()
        try:
            attempts.begin("a")
        except TooManyAttemptsError:
            return False
        return True

    with ThreadPoolExecutor(2 * MAX_FOR_CLIENT) as pool:
        tried = list(pool.map(log_in, range(2 * MAX_FOR_CLIENT)))
    assert tried.count(True) == MAX_FOR_CLIENT


def test_only_the_attempt_that_succeeds_is_taken_back() -> None:
    now = 0.0
    attempts = LoginAttempts(lambda: now)
    first, *_ = [attempts.begin("a") for _ in range(MAX_FOR_CLIENT)]
    now = 10.5
    with pytest.raises(TooManyAttemptsError) as refused:
        attempts.begin("a")
    assert refused.value.wait_s == 50
    attempts.succeed(first)
    attempts.succeed(first)
    attempts.begin("a")
    with pytest.raises(TooManyAttemptsError):
        attempts.begin("a")
    # A success that comes after its minute changes nothing.
    now = 10.5 + WINDOW_S
    attempts.begin("b")
    attempts.succeed(first)
    assert len(attempts) == 1


def test_many_clients_are_limited_together() -> None:
    attempts = LoginAttempts()
    for number in range(MAX_FOR_ALL):
        attempts.begin(f"client {number}")
    with pytest.raises(TooManyAttemptsError):
        attempts.begin("another one")


@pytest.mark.parametrize(
    ("address", "client"),
    [
        ("127.0.0.1", "loopback"),
        ("127.9.9.9", "loopback"),
        ("::1", "loopback"),
        ("::ffff:127.0.0.2", "loopback"),
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8::1", "2001:db8::/64"),
        ("2001:db8::ffff", "2001:db8::/64"),
        ("", ""),
        (None, ""),
    ],
)
def test_addresses_of_one_client_count_as_one(address: str | None, client: str) -> None:
    assert client_of(address) == client
