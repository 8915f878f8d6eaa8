"""Liveness, under both of its names."""

from pathlib import Path

from dataflix_backend.services.model.files import CHAMPION, ChampionStatus, Hold, write_champion
from dataflix_recommender import Model
from dataflix_testkit import PostgresServer

from .conftest import StartApp, settings_for
from .support.api import ApiClient
from .support.contract import Contract
from .support.models import publish
from .test_model_store import damage


def test_health_is_an_alias_of_healthz(api: ApiClient) -> None:
    answers = [api.get(path, key=None) for path in ("/healthz", "/health")]
    assert [answer.status for answer in answers] == [200, 200]
    assert [answer.json for answer in answers] == [{"status": "ok"}] * 2


def test_health_needs_no_postgres_in_the_document(api: ApiClient) -> None:
    paths = api.contract.document["paths"]
    for path in ("/healthz", "/health"):
        assert paths[path]["get"]["security"] == []
        assert "503" not in paths[path]["get"]["responses"]


def test_readiness_and_model_say_why_another_model_is_served(
    pg: PostgresServer, contract: Contract, model: Model, tmp_path: Path, start_app: StartApp
) -> None:
    settings = settings_for(tmp_path, pg)
    publish(settings.models_dir, "1", model)
    reason = "Version 2 cannot be served: manifest.json has format version 2; this code reads 3"
    write_champion(settings.models_dir, ChampionStatus("2", reason))
    api = ApiClient(start_app(settings).test_client(), contract)
    assert api.get("/readyz", key=None).json["checks"] == {"postgres": "ok", "model": "1", "champion": reason}
    assert api.get("/model").json["champion_problem"] == reason
    write_champion(settings.models_dir, ChampionStatus("1"))
    assert api.get("/readyz", key=None).json["checks"] == {"postgres": "ok", "model": "1"}
    assert api.get("/model").json["champion_problem"] is None


def test_the_model_says_since_when_and_why_it_is_held(
    pg: PostgresServer, contract: Contract, model: Model, tmp_path: Path, start_app: StartApp
) -> None:
    settings = settings_for(tmp_path, pg)
    publish(settings.models_dir, "1", model)
    api = ApiClient(start_app(settings).test_client(), contract)

    def shown() -> tuple[object, ...]:
        described = api.get("/model").json
        return described["held"], described["held_since"], described["held_reason"]

    assert shown() == (False, None, None)
    since = "2026-11-30T08:00:00+00:00"
    write_champion(settings.models_dir, ChampionStatus("1", "", Hold(since, "A better one is worse.")))
    assert shown() == (True, "2026-11-30T08:00:00Z", "A better one is worse.")
    # The time of the tag could not be read.
    write_champion(settings.models_dir, ChampionStatus("1", "", Hold()))
    assert shown() == (True, None, None)
    # Another version is held, and is not served yet.
    write_champion(settings.models_dir, ChampionStatus("2", "", Hold(since)))
    assert shown() == (False, None, None)
    # As an earlier version of the synchroniser wrote it.
    (settings.models_dir / CHAMPION).write_text('{"version": "1", "problem": ""}')
    assert shown() == (False, None, None)
    (settings.models_dir / CHAMPION).write_text('{"version": "1", "hold": 5}')
    assert shown() == (False, None, None)
    assert "cannot be read" in api.get("/model").json["champion_problem"]


def test_without_a_model_that_can_be_read_the_reason_is_given(
    pg: PostgresServer, contract: Contract, model: Model, tmp_path: Path, start_app: StartApp
) -> None:
    settings = settings_for(tmp_path, pg)
    publish(settings.models_dir, "1", model)
    damage(settings.models_dir / "1-test")
    api = ApiClient(start_app(settings).test_client(), contract)
    checks = api.get("/readyz", key=None).json["checks"]
    assert checks["model"] == "none"
    assert "cannot be loaded" in checks["champion"]
    assert "cannot be loaded" in api.get("/model").problem(404)["detail"]
