"""Liveness, under both of its names."""

from .support.api import ApiClient


def test_health_is_an_alias_of_healthz(api: ApiClient) -> None:
    answers = [api.get(path, key=None) for path in ("/healthz", "/health")]
    assert [answer.status for answer in answers] == [200, 200]
    assert [answer.json for answer in answers] == [{"status": "ok"}] * 2


def test_health_needs_no_postgres_in_the_document(api: ApiClient) -> None:
    paths = api.contract.document["paths"]
    for path in ("/healthz", "/health"):
        assert paths[path]["get"]["security"] == []
        assert "503" not in paths[path]["get"]["responses"]
