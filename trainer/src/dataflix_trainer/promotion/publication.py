"""Promotes a version by the rule, and publishes the champion's lists in the warehouse."""

import logging
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from dataflix_recommender import ArtifactError, Model
from dataflix_trainer.data.holdout import HOLDOUT_SEED, Holdout, latest_events
from dataflix_trainer.data.interactions import Interactions
from dataflix_trainer.data.warehouse import Warehouse
from dataflix_trainer.errors import RegistryError
from dataflix_trainer.evaluation.holdout_evaluation import Evaluation, evaluate_model, evaluate_popularity
from dataflix_trainer.promotion.health import Health, check_health
from dataflix_trainer.promotion.recommendation_lists import write_recommendations
from dataflix_trainer.promotion.rule import Verdict, decide
from dataflix_trainer.registry.registry import Registry, Version
from dataflix_trainer.registry.warehouse_copy import copy_registry

log = logging.getLogger(__name__)


def read_interactions(warehouse: Warehouse) -> Interactions:
    """Read the present interactions.

    Raises:
        DataError: a table is empty or inconsistent.
        ServiceUnavailableError: the warehouse does not answer.
    """
    item_ids, _ = warehouse.catalogue()
    return warehouse.interactions(item_ids)


def evaluate_version(registry: Registry, version: Version, interactions: Interactions) -> dict[str, Any]:
    """Evaluate a version and popularity on the present holdout; return their metrics by name.

    Raises:
        ArtifactError: the version's artifact is damaged.
        ServiceUnavailableError: MLflow does not answer.
    """
    holdout = latest_events(interactions, seed=HOLDOUT_SEED)
    evaluation = _evaluate(registry, version, holdout)
    popularity = evaluate_popularity(holdout)
    return {
        "version": version.number,
        "users": evaluation.users,
        "metrics": evaluation.means(),
        "popularity": popularity.means(),
    }


def promote(registry: Registry, version: Version, interactions: Interactions) -> Verdict:
    """Compare a version with popularity and the champion, record the verdict, and let it serve if accepted.

    The models fitted without the held-out events are evaluated, on the holdout of the present data, because
    the models that serve have seen those events.

    Raises:
        ServiceUnavailableError: MLflow does not answer.
    """
    if version.is_champion:
        problem = artifact_problem(registry, version)
        return Verdict(not problem, problem or f"version {version.number} is the champion already")
    verdict = _decide(registry, version, interactions)
    registry.record_verdict(version.number, accepted=verdict.accepted, reason=verdict.reason)
    if verdict.accepted:
        registry.make_champion(version.number)
    log.info(
        "event=promotion_decided version=%s accepted=%s reason=%r",
        version.number,
        verdict.accepted,
        verdict.reason,
    )
    return verdict


def force(registry: Registry, version: Version) -> Verdict:
    """Let a version serve without the rule, and record that a person decided so.

    Raises:
        RegistryError: its artifact cannot be read, so it could not serve.
    """
    if problem := artifact_problem(registry, version):
        raise RegistryError(f"version {version.number} cannot serve: {problem}")
    verdict = Verdict(True, "promoted by hand, without the rule")
    registry.record_verdict(version.number, accepted=True, reason=verdict.reason)
    registry.make_champion(version.number)
    return verdict


def roll_back(registry: Registry) -> tuple[Version, Version]:
    """Give the champion alias back to the previous champion that this code can read; see ``Registry``.

    Raises:
        RegistryError: no version serves, or none that can be read served before.
    """
    return registry.roll_back(lambda version: artifact_problem(registry, version))


def artifact_problem(registry: Registry, version: Version) -> str:
    """Return why the artifact of a version cannot serve; empty when it can.

    Raises:
        ServiceUnavailableError: MLflow does not answer.
    """
    try:
        with TemporaryDirectory(prefix="dataflix-check-") as folder:
            Model.load(registry.download_model(version, Path(folder)))
    except ArtifactError as error:
        return _describe(error)
    return ""


def publish(
    warehouse: Warehouse, registry: Registry, version: Version, *, threads: int = 1
) -> dict[str, Any]:
    """Promote a version by the rule, then write the lists of the champion, whichever version that is.

    The warehouse also gets a copy of the registry, for the dashboard on the model's health.

    Returns:
        ``promoted``, ``reason``, ``champion`` (None when there is none), ``champion_problem`` (why its lists
        could not be written, None when they were) and ``recommendation_rows``.

    Raises:
        DataError: the data cannot be evaluated on, or rows were lost on the way.
        ServiceUnavailableError: a service does not answer.
    """
    interactions = read_interactions(warehouse)
    verdict = promote(registry, version, interactions)
    champion = registry.champion()
    rows, problem = 0, None
    if champion is not None:
        try:
            with TemporaryDirectory(prefix="dataflix-publish-") as folder:
                model = Model.load(registry.download_model(champion, Path(folder)))
        except ArtifactError as error:
            problem = _describe(error)
            log.warning("event=champion_unusable version=%s reason=%r", champion.number, problem)
        else:
            rows = write_recommendations(
                warehouse, model, champion.number, interactions, warehouse.user_ids(), threads=threads
            )
    copy_registry(warehouse, registry)
    return {
        "promoted": verdict.accepted,
        "reason": verdict.reason,
        "champion": None if champion is None else champion.number,
        "champion_problem": problem,
        "recommendation_rows": rows,
    }


def _decide(registry: Registry, version: Version, interactions: Interactions) -> Verdict:
    holdout = latest_events(interactions, seed=HOLDOUT_SEED)
    champion = registry.champion()
    try:
        health = _check_health(registry, version)
        candidate = _evaluate(registry, version, holdout)
    except ArtifactError as error:
        return Verdict(False, _describe(error))
    if problem := health.problem():
        return Verdict(False, problem)
    compared = _compare_with(registry, champion, holdout)
    verdict = decide(candidate, evaluate_popularity(holdout), **compared)
    return Verdict(verdict.accepted, f"{verdict.reason}; {health}")


def _compare_with(registry: Registry, champion: Version | None, holdout: Holdout) -> dict[str, Any]:
    """Return what ``decide`` gets of the champion. One that cannot be read counts as none.

    After an upgrade its artifact may have an older format; it would refuse every later version for ever.
    """
    if champion is None:
        return {"champion": None}
    try:
        return {"champion": _evaluate(registry, champion, holdout)}
    except ArtifactError as error:
        reason = f"the champion, version {champion.number}, counts as none: {_describe(error)}"
        return {"champion": None, "without_champion": reason}


def _describe(error: ArtifactError) -> str:
    return f"its artifact cannot be used: {error.file.name} {error.reason}"


def _check_health(registry: Registry, version: Version) -> Health:
    with TemporaryDirectory(prefix="dataflix-health-") as folder:
        return check_health(registry.download_model(version, Path(folder)))


def _evaluate(registry: Registry, version: Version, holdout: Holdout) -> Evaluation:
    with TemporaryDirectory(prefix="dataflix-evaluate-") as folder:
        return evaluate_model(Model.load(registry.download_evaluated(version, Path(folder))), holdout)
