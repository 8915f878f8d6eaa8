"""Promotions and rollbacks of several commands at the same moment: one version serves in the end."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any, cast

import mlflow
import pytest
from click.testing import Result

from dataflix_recommender import OWN_SOURCE
from dataflix_trainer.errors import BusyError
from dataflix_trainer.promotion import publication
from dataflix_trainer.promotion.rule import Verdict
from dataflix_trainer.registry import registry as registry_module
from dataflix_trainer.registry.registry import Registry
from dataflix_trainer.settings import MlflowSettings

Trainer = Callable[..., Result]
NAME = "promoted-at-once"
SMALL = ("--factors=2", "--iterations=1")
# No interactions, because the tests decide themselves.
DATA = publication.PresentData(cast("Any", None), OWN_SOURCE)
# Longer than the requests between two steps of a promotion.
MEET_S = 1.0


@pytest.fixture(scope="module")
def registry(trainer: Trainer, services: Any) -> Registry:
    """Three versions of one training."""
    trained = trainer("train", *SMALL, DATAFLIX_MODEL_NAME=NAME)
    assert trained.exit_code == 0, trained.output
    registry = Registry(MlflowSettings.from_environ(services.environ | {"DATAFLIX_MODEL_NAME": NAME}))
    source = str(mlflow.MlflowClient().get_model_version(NAME, "1").source)
    for _ in range(2):
        mlflow.register_model(source, NAME)
    return registry


def meeting(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    """Let two threads wait for each other before each of these steps, if the other one comes there."""
    for name in names:
        barrier, step = threading.Barrier(2), getattr(Registry, name)

        def together(
            self: Registry, *words: Any, barrier: threading.Barrier = barrier, step: Any = step
        ) -> Any:
            with suppress(threading.BrokenBarrierError):
                barrier.wait(MEET_S)
            return step(self, *words)

        monkeypatch.setattr(Registry, name, together)


def at_once(*commands: Callable[[], Any]) -> None:
    with ThreadPoolExecutor(len(commands)) as pool:
        for done in [pool.submit(command) for command in commands]:
            done.result()


def check_one_serves(registry: Registry) -> str:
    serving, alias = registry.serving_champion(), registry.champion()
    assert serving is not None
    assert alias is not None
    assert serving.number == alias.number
    signed = [version.number for version in registry.versions() if "serving_signature" in version.tags]
    assert signed == [serving.number]
    return serving.number


def test_two_promotions(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    meeting(monkeypatch, "_set_alias", "_remove_tag")
    first, second = registry.version("1"), registry.version("2")
    at_once(lambda: publication.force(registry, first), lambda: publication.force(registry, second))
    assert check_one_serves(registry) in ("1", "2")
    assert sorted(registry.version(number).promotion_order[0] for number in "12") == [1, 2]


def test_a_promotion_and_a_rollback(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in "12":
        publication.force(registry, registry.version(number))
    meeting(monkeypatch, "_set_alias", "_remove_tag")
    third = registry.version("3")
    at_once(lambda: publication.force(registry, third), lambda: publication.roll_back(registry))
    # The rollback gave up whichever of 2 and 3 served at its turn.
    assert check_one_serves(registry) in ("2", "3")


@pytest.mark.parametrize("accepted", [True, False])
def test_a_verdict_on_another_champion_is_void(
    registry: Registry, monkeypatch: pytest.MonkeyPatch, accepted: bool
) -> None:
    """The champion changes while a version is judged: by force, to another version or to the same one."""
    publication.force(registry, registry.version("1"))
    judged, forced = registry.version("3"), registry.version("2" if accepted else "3")
    compared: list[str | None] = []

    def decide(_: Registry, __: Any, champion: Any, ___: Any) -> tuple[Verdict, str]:
        compared.append(champion and champion.number)
        if len(compared) == 1:
            publication.force(registry, forced)
        return Verdict(accepted, "as the test wants"), "00"

    monkeypatch.setattr(publication, "_decide", decide)
    verdict = publication.promote(registry, judged, DATA)
    assert compared == (["1", "2"] if accepted else ["1"])
    assert verdict.accepted
    assert check_one_serves(registry) == "3"


def test_a_rollback_goes_back_from_what_serves(registry: Registry) -> None:
    """Wherever somebody moved the alias, and after a rollback that was killed in its middle."""
    for number in "123":
        publication.force(registry, registry.version(number))
    mlflow.MlflowClient().set_registered_model_alias(NAME, "champion", "1")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Registry, "_set_alias", killed)
        with pytest.raises(SystemExit):
            publication.roll_back(registry)
    previous, present = publication.roll_back(registry)
    assert (previous.number, present.number) == ("2", "3")
    assert check_one_serves(registry) == "2"


def killed(*_: Any) -> None:
    raise SystemExit


def test_a_command_that_hangs_is_named(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry_module, "PROMOTION_LOCK_TIMEOUT_S", 0.1)
    version = registry.version("1")
    with (
        registry.deciding(),
        ThreadPoolExecutor(1) as pool,
        pytest.raises(BusyError, match=r"promotion\.lock"),
    ):
        pool.submit(publication.force, registry, version).result()


def accepted_by_rule(registry: Registry, number: str, monkeypatch: pytest.MonkeyPatch) -> Verdict:
    monkeypatch.setattr(publication, "_decide", lambda *_: (Verdict(True, "as the test wants"), "00"))
    return publication.promote(registry, registry.version(number), DATA)


def test_a_rollback_holds_until_it_is_released(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in "12":
        publication.force(registry, registry.version(number))
    publication.roll_back(registry)
    verdict = accepted_by_rule(registry, "3", monkeypatch)
    assert not verdict.accepted
    assert "version 1 serves and is held since 20" in verdict.reason
    assert "trainer release" in verdict.reason
    # Its signed verdict stays, so that a rollback can still return to it.
    assert not accepted_by_rule(registry, "2", monkeypatch).accepted
    assert registry.is_signed(registry.version("2"))
    assert check_one_serves(registry) == "1"
    assert publication.release(registry).held_since is not None
    assert publication.release(registry).held_since is None
    assert accepted_by_rule(registry, "3", monkeypatch).accepted
    assert check_one_serves(registry) == "3"


def test_a_person_may_replace_a_held_champion_by_force(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    publication.force(registry, registry.version("1"))
    assert publication.hold(registry).number == "1"
    assert not accepted_by_rule(registry, "2", monkeypatch).accepted
    publication.force(registry, registry.version("2"))
    assert [version.number for version in registry.versions() if version.held_since] == []
    assert accepted_by_rule(registry, "3", monkeypatch).accepted


def test_a_hold_that_comes_while_a_version_is_judged_counts(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    publication.force(registry, registry.version("1"))

    def decide(*_: Any) -> tuple[Verdict, str]:
        publication.hold(registry)
        return Verdict(True, "as the test wants"), "00"

    monkeypatch.setattr(publication, "_decide", decide)
    assert not publication.promote(registry, registry.version("3"), DATA).accepted
    assert check_one_serves(registry) == "1"


def test_a_promotion_and_a_hold_at_once_end_with_one_of_the_two(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    publication.force(registry, registry.version("1"))
    publication.release(registry)
    at_once(lambda: accepted_by_rule(registry, "2", monkeypatch), lambda: publication.hold(registry))
    # Whichever came first: the version that serves then is the one that is held.
    serving = registry.serving_champion()
    assert serving is not None
    assert serving.held_since is not None
    assert check_one_serves(registry) in ("1", "2")


def test_a_time_that_somebody_else_wrote_is_not_shown(registry: Registry) -> None:
    publication.force(registry, registry.version("1"))
    mlflow.MlflowClient().set_model_version_tag(NAME, "1", "held_at", "\x1b[31m")
    assert registry.version("1").held_since == "an unknown time"
    publication.release(registry)
    assert registry.version("1").held_since is None
