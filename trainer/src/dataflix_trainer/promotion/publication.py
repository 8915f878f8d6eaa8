"""Promotes a version by the rule, and publishes the champion's lists in the warehouse."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from dataflix_common.model_registry import ARTIFACT_SHA256, artifact_sha256
from dataflix_recommender import ArtifactError, Model, SourceIdentity
from dataflix_trainer.data.holdout import HOLDOUT_SEED, Holdout, latest_events
from dataflix_trainer.data.interactions import Interactions
from dataflix_trainer.data.warehouse import Warehouse
from dataflix_trainer.errors import BusyError, RegistryError
from dataflix_trainer.evaluation.holdout_evaluation import evaluate_model, evaluate_popularity
from dataflix_trainer.promotion.health import Health, check_health
from dataflix_trainer.promotion.recommendation_lists import write_recommendations
from dataflix_trainer.promotion.rule import Verdict, decide
from dataflix_trainer.registry.registry import Registry, Version
from dataflix_trainer.registry.warehouse_copy import copy_registry

log = logging.getLogger(__name__)

# Each costs the time of making all lists. A champion that changes more often is no accident.
_MAX_CHAMPIONS = 5


@dataclass(frozen=True, slots=True)
class PresentData:
    """What versions are judged on: the present interactions, and the database they come from."""

    interactions: Interactions
    source: SourceIdentity


def read_present(warehouse: Warehouse) -> PresentData:
    """Read the present data.

    Raises:
        DataError: a table is empty or inconsistent.
        ServiceUnavailableError: the warehouse does not answer.
    """
    source = warehouse.source()
    return PresentData(read_interactions(warehouse), source)


def read_interactions(warehouse: Warehouse) -> Interactions:
    """Read the present interactions.

    Raises:
        DataError: a table is empty or inconsistent.
        ServiceUnavailableError: the warehouse does not answer.
    """
    item_ids = warehouse.items().ids
    return warehouse.interactions(item_ids)


def evaluate_version(registry: Registry, version: Version, data: PresentData) -> dict[str, Any]:
    """Evaluate a version and popularity on the present holdout; return their metrics by name.

    Raises:
        ArtifactError: the version's artifact is damaged.
        RegistryError: the version was trained on another source.
        ServiceUnavailableError: MLflow does not answer.
    """
    model = _load_evaluated(registry, version)
    if problem := source_problem(model.info.source, data.source):
        raise RegistryError(f"version {version.number} cannot be measured here: {problem}")
    holdout = latest_events(data.interactions, seed=HOLDOUT_SEED)
    evaluation = evaluate_model(model, holdout)
    popularity = evaluate_popularity(holdout)
    return {
        "version": version.number,
        "users": evaluation.users,
        "metrics": evaluation.means(),
        "popularity": popularity.means(),
    }


def promote(registry: Registry, version: Version, data: PresentData) -> Verdict:
    """Compare a version with popularity and the champion, record the verdict, and let it serve if accepted.

    The models fitted without the held-out events are evaluated, on the holdout of the present data, because
    the models that serve have seen those events. The promotion signs the artifact that was judged; whoever
    moves the alias in MLflow makes nothing serve, and the alias is given back here.

    Raises:
        SettingsError: the promotion key is not set.
        ServiceUnavailableError: MLflow does not answer.
    """
    verdict = None
    while verdict is None:
        verdict = _judge(registry, version, data)
    log.info(
        "event=promotion_decided version=%s accepted=%s reason=%r",
        version.number,
        verdict.accepted,
        verdict.reason,
    )
    return verdict


def _judge(registry: Registry, version: Version, data: PresentData) -> Verdict | None:
    """Judge a version once; None if another command changed the champion meanwhile, which voids the verdict.

    Judging takes long, so it holds no lock: a rollback must not wait for it.
    """
    with registry.deciding():
        serving = registry.restore_champion()
        if serving is not None and serving.number != version.number and serving.held_since:
            return _refuse_for_held(registry, version, serving)
    if serving is not None and serving.number == version.number:
        problem = artifact_problem(registry, serving, data.source)
        return Verdict(not problem, problem or f"version {version.number} is the champion already")
    # Without one that serves: promoted before there were signatures, or set by hand in MLflow, to be compared
    # with and not served.
    champion = serving or registry.champion()
    if champion is not None and champion.number == version.number:
        champion = None
    verdict, artifact = _decide(registry, version, champion, data)
    with registry.deciding():
        present = registry.serving_champion()
        if _number(present) != _number(serving):
            log.info("event=champion_changed version=%s champion=%s", version.number, _number(present))
            return None
        if present is not None and present.held_since:
            # Since the judging began.
            return _refuse_for_held(registry, version, present)
        registry.record_verdict(version.number, accepted=verdict.accepted, reason=verdict.reason)
        if verdict.accepted:
            registry.make_champion(version.number, artifact)
    return verdict


def _refuse_for_held(registry: Registry, version: Version, champion: Version) -> Verdict:
    """Refuse a version because the champion is held; call it within ``deciding``."""
    reason = (
        f"version {champion.number} serves and is held since {champion.held_since}; to let others serve "
        "again: trainer release"
    )
    # The signature of an earlier promotion covers its verdict; a rollback may still need it.
    if not registry.is_signed(version):
        registry.record_verdict(version.number, accepted=False, reason=reason)
    return Verdict(False, reason)


def _number(version: Version | None) -> str | None:
    return None if version is None else version.number


def force(registry: Registry, version: Version) -> Verdict:
    """Let a version serve without the rule, and record that a person decided so. It ends a hold.

    Raises:
        RegistryError: its artifact cannot be read, so it could not serve.
        SettingsError: the promotion key is not set.
    """
    try:
        _, artifact = _load_served(registry, version)
    except ArtifactError as error:
        raise RegistryError(f"version {version.number} cannot serve: {_describe(error)}") from error
    verdict = Verdict(True, "promoted by hand, without the rule")
    with registry.deciding():
        registry.record_verdict(version.number, accepted=True, reason=verdict.reason)
        registry.make_champion(version.number, artifact)
    return verdict


def roll_back(registry: Registry) -> tuple[Version, Version]:
    """Give the champion alias back to the previous champion that this code can read; see ``Registry``.

    One of another source than the present champion's is passed over: its ids mean other people and items.

    Raises:
        RegistryError: no version serves, or none that can be read served before.
    """
    with registry.deciding():
        present = registry.serving_champion() or registry.champion()
        source = _source_of(registry, present) if present else None
        return registry.roll_back(lambda version: artifact_problem(registry, version, source))


def hold(registry: Registry, reason: str = "") -> Version:
    """Keep the champion from being replaced by the rule, until ``release`` or a promotion by force.

    Args:
        registry: has the versions.
        reason: why; may be empty.

    Raises:
        RegistryError: no version serves.
    """
    with registry.deciding():
        return registry.hold(reason)


def release(registry: Registry) -> Version:
    """End a hold; return the champion as it was before.

    Raises:
        RegistryError: no version serves.
    """
    with registry.deciding():
        return registry.release()


def _source_of(registry: Registry, version: Version) -> SourceIdentity | None:
    """Return the source of a version's artifact; None if it does not say it, or cannot be read."""
    try:
        return _load_served(registry, version)[0].info.source
    except ArtifactError:
        return None


def source_problem(source: SourceIdentity | None, wanted: SourceIdentity | None) -> str:
    """Return why a model of one source cannot be used for another; empty when it can.

    A model from before December 2026 does not say its source, and is trusted.
    """
    if source is None or wanted is None or source == wanted:
        return ""
    return f"it was trained on {source}, not on {wanted}"


def artifact_problem(registry: Registry, version: Version, source: SourceIdentity | None = None) -> str:
    """Return why the artifact of a version cannot serve people of a source; empty when it can.

    Raises:
        ServiceUnavailableError: MLflow does not answer.
    """
    try:
        model, artifact = _load_served(registry, version)
    except ArtifactError as error:
        return _describe(error)
    if problem := source_problem(model.info.source, source):
        return problem
    if version.tags.get(ARTIFACT_SHA256, artifact) != artifact:
        return "its artifact is not the one that was promoted"
    return ""


def _load_served(registry: Registry, version: Version) -> tuple[Model, str]:
    """Return the model that a version serves, and the SHA-256 of its manifest."""
    with TemporaryDirectory(prefix="dataflix-model-") as folder:
        path = registry.download_model(version, Path(folder))
        return Model.load(path), artifact_sha256(path)


def publish(
    warehouse: Warehouse, registry: Registry, version: Version, *, threads: int = 1
) -> dict[str, Any]:
    """Promote a version by the rule, then write the lists of the champion, whichever version that is.

    If another version serves by the time they are made, it makes that one's lists instead, so of several
    publications at once none leaves the lists of an earlier champion. The warehouse also gets a copy of the
    registry, for the dashboard on the model's health.

    Returns:
        ``promoted``, ``reason``, ``champion`` (None when there is none), ``champion_problem`` (why its lists
        could not be written, None when they were) and ``recommendation_rows``.

    Raises:
        BusyError: the champion changes again and again.
        DataError: the data cannot be evaluated on, or rows were lost on the way.
        ServiceUnavailableError: a service does not answer.
    """
    data = read_present(warehouse)
    verdict = promote(registry, version, data)
    for _ in range(_MAX_CHAMPIONS):
        try:
            champion, problem, rows = _publish_lists(
                warehouse, registry, data, judged=version, threads=threads
            )
            break
        except _ChampionChangedError as error:
            log.info("event=champion_changed champion=%s", error)
    else:
        raise BusyError(
            f"the champion changed {_MAX_CHAMPIONS} times while its lists were made, so they may be those of "
            f"an earlier one. When no other promotion or rollback runs: trainer publish {version.number}"
        )
    if problem and champion is not None:
        log.warning("event=champion_unusable version=%s reason=%r", champion.number, problem)
    copy_registry(warehouse, registry)
    return {
        "promoted": verdict.accepted,
        "reason": verdict.reason,
        "champion": None if champion is None else champion.number,
        "champion_problem": problem or None,
        "recommendation_rows": rows,
    }


class _ChampionChangedError(Exception):
    """Another version serves by now."""


def _publish_lists(
    warehouse: Warehouse, registry: Registry, data: PresentData, *, judged: Version, threads: int
) -> tuple[Version | None, str, int]:
    """Write the champion's lists; return it, why they could not be written, and the number of rows.

    Raises:
        _ChampionChangedError: another version serves since this began. If that was noticed only after the
            exchange, the lists are those of the earlier one, and must be made again.
    """
    champion, problem = _champion_to_publish(registry, data, judged=judged)
    if champion is None or problem:
        return champion, problem, 0
    try:
        model, artifact = _load_served(registry, champion)
    except ArtifactError as error:
        return champion, _describe(error), 0
    if problem := source_problem(model.info.source, data.source):
        return champion, problem, 0
    if artifact != champion.tags.get(ARTIFACT_SHA256):
        return champion, "its artifact is not the one that was promoted", 0

    @contextmanager
    def while_it_serves() -> Iterator[None]:
        with registry.deciding():
            _require_serving(registry, champion)
            yield
            # The lock holds for one DATAFLIX_HOME, and ClickHouse exchanges tables without a condition. So
            # whoever exchanges looks once more. Of several, the last one finds its own champion, or goes on.
            _require_serving(registry, champion)

    rows = write_recommendations(
        warehouse,
        model,
        champion.number,
        data.interactions,
        warehouse.user_ids(),
        threads=threads,
        exchanging=while_it_serves,
    )
    return champion, "", rows


def _require_serving(registry: Registry, version: Version) -> None:
    present = _number(registry.serving_champion())
    if present != version.number:
        raise _ChampionChangedError(present)


def _champion_to_publish(
    registry: Registry, data: PresentData, *, judged: Version
) -> tuple[Version | None, str]:
    """Return the champion, and why its lists may not be written; empty when they may.

    A champion without signature was promoted before there were signatures, or somebody moved the alias. Which
    of the two it was cannot be told, so the rule judges it like any other version, and signs it or not.
    """
    champion = registry.serving_champion()
    if champion is not None:
        return champion, ""
    unsigned = registry.champion()
    if unsigned is None:
        return None, ""
    if unsigned.number == judged.number:
        return unsigned, "its promotion is not signed, and the rule refuses it now"
    verdict = promote(registry, unsigned, data)
    if verdict.accepted:
        return registry.serving_champion(), ""
    return unsigned, f"its promotion is not signed, and the rule refuses it now: {verdict.reason}"


def _decide(
    registry: Registry, version: Version, champion: Version | None, data: PresentData
) -> tuple[Verdict, str]:
    """Return the verdict, and the SHA-256 of the manifest of the artifact that was judged."""
    holdout = latest_events(data.interactions, seed=HOLDOUT_SEED)
    try:
        health, artifact = _check_health(registry, version)
        model = _load_evaluated(registry, version)
        if other := source_problem(model.info.source, data.source):
            return Verdict(False, other), artifact
        candidate = evaluate_model(model, holdout)
    except ArtifactError as error:
        return Verdict(False, _describe(error)), ""
    if problem := health.problem():
        return Verdict(False, problem), artifact
    compared = _compare_with(registry, champion, holdout, data.source)
    verdict = decide(candidate, evaluate_popularity(holdout), **compared)
    return Verdict(verdict.accepted, f"{verdict.reason}; {health}"), artifact


def _compare_with(
    registry: Registry, champion: Version | None, holdout: Holdout, source: SourceIdentity
) -> dict[str, Any]:
    """Return what ``decide`` gets of the champion. One that cannot be read counts as none.

    After an upgrade its artifact may have an older format; it would refuse every later version for ever. One
    of another source knows nothing of these people and items.
    """
    if champion is None:
        return {"champion": None}
    try:
        model = _load_evaluated(registry, champion)
    except ArtifactError as error:
        problem = _describe(error)
    else:
        problem = source_problem(model.info.source, source)
        if not problem:
            return {"champion": evaluate_model(model, holdout)}
    return {
        "champion": None,
        "without_champion": f"the champion, version {champion.number}, counts as none: {problem}",
    }


def _describe(error: ArtifactError) -> str:
    return f"its artifact cannot be used: {error.file.name} {error.reason}"


def _check_health(registry: Registry, version: Version) -> tuple[Health, str]:
    with TemporaryDirectory(prefix="dataflix-health-") as folder:
        path = registry.download_model(version, Path(folder))
        return check_health(path), artifact_sha256(path)


def _load_evaluated(registry: Registry, version: Version) -> Model:
    with TemporaryDirectory(prefix="dataflix-evaluate-") as folder:
        return Model.load(registry.download_evaluated(version, Path(folder)))
