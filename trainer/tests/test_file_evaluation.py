"""``trainer evaluate --ratings``: a file in, figures out, all models on the same events."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner, Result
from scipy.sparse import csr_matrix

from dataflix_recommender import History
from dataflix_recommender.baselines import popular
from dataflix_trainer import cli
from dataflix_trainer.data.ratings_file import read_ratings
from dataflix_trainer.evaluation.candidates import CANDIDATES, Conditions, ProductScorer
from dataflix_trainer.evaluation.measurement import measure, rank
from dataflix_trainer.evaluation.protocols import PROTOCOLS, EvalSplit

METRICS = {
    "ndcg", "recall", "truncated_recall", "precision", "map", "mrr", "hit", "coverage", "novelty",
    "diversity", "gini",
}  # fmt: skip


@pytest.fixture(scope="module")
def ratings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """120 users who like one of three kinds of items and sometimes try another."""
    generator = np.random.default_rng(1)
    rows = []
    for user in range(120):
        chance = np.where(np.arange(90) % 3 == user % 3, 10.0, 1.0) / np.sqrt(1 + np.arange(90))
        for item in generator.choice(90, 35, replace=False, p=chance / chance.sum()):
            stars = generator.choice([4, 4.5, 5] if item % 3 == user % 3 else [3, 3.5, 4])
            # Everybody comes for a while, one after another.
            rows.append((user, item, stars, user * 50 + generator.integers(0, 3000)))
    path = tmp_path_factory.mktemp("ratings") / "ratings.csv"
    pd.DataFrame(rows, columns=["userId", "movieId", "rating", "timestamp"]).to_csv(path, index=False)
    return path


def run(ratings: Path, out: Path, *more: str, protocol: str = "random") -> Result:
    words = ["evaluate", "--ratings", str(ratings), "--protocol", str(protocol), "--out", str(out), *more]
    return CliRunner().invoke(cli.main, words, catch_exceptions=False)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_report_has_every_model_with_every_figure(ratings: Path, tmp_path: Path, protocol: str) -> None:
    result = run(ratings, tmp_path / "out.json", "--k=5,10", "--seed=3", protocol=protocol)
    assert result.exit_code == 0, result.stderr
    report = json.loads((tmp_path / "out.json").read_text())
    assert report["protocol"] == protocol
    assert report["seed"] == 3
    assert report["data"]["ratings"] == 4200
    assert report["data"]["users"] == 120
    for part in ("validation", "test"):
        assert report["data"][part]["evaluated_users"] >= 10
        assert report["data"][part]["target_events"] > 0
    models = {model["name"]: model for model in report["models"]}
    assert {"als", "ease", "itemknn", "popular", "recent"} <= set(models)
    for model in models.values():
        assert set(model["metrics"]) == {f"{name}@{k}" for name in METRICS for k in (5, 10)}
        for figure in model["metrics"].values():
            assert figure["low"] <= figure["mean"] <= figure["high"]
        assert model["seconds"] > 0
        assert model["name"] in result.stdout
    groups = {row["users"] for row in report["comparisons"]}
    assert groups == ({"all", "known", "new"} if protocol == "temporal" else {"all"})
    if protocol != "temporal":  # tastes are plain, so models that learn them are far above popularity
        for name in ("als", "ease", "itemknn"):
            assert (
                models[name]["metrics"]["ndcg@10"]["mean"]
                > 1.2 * models["popular"]["metrics"]["ndcg@10"]["mean"]
            )


def test_the_same_seed_gives_the_same_figures(ratings: Path, tmp_path: Path) -> None:
    def figures(seed: int, name: str) -> Any:
        assert run(ratings, tmp_path / name, f"--seed={seed}", "--threads=2").exit_code == 0
        return [model["metrics"] for model in json.loads((tmp_path / name).read_text())["models"]]

    assert figures(3, "one") == figures(3, "two") != figures(4, "three")


def test_tuning_is_told_and_finds_nothing_worse_on_the_validation(ratings: Path, tmp_path: Path) -> None:
    result = run(ratings, tmp_path / "tuned.json", "--tune", "--budget=2")
    assert result.exit_code == 0
    report = json.loads((tmp_path / "tuned.json").read_text())
    assert report["tuned"] is True
    split = PROTOCOLS["random"](read_ratings(ratings), seed=1)
    models = {model["name"]: model for model in report["models"]}
    assert "tuning" not in models["popular"]
    for candidate in CANDIDATES:
        if candidate.space:
            tuning = models[candidate.name]["tuning"]
            assert tuning["trials"] >= 1
            (part,) = split.validation
            scorer = candidate.fit(part, candidate.defaults, Conditions(1, 2))
            vectors = np.ones((part.train.shape[1], 1), dtype=np.float32)
            default = measure([scorer], [part], (10,), [vectors], seed=1).figures["ndcg@10"]["mean"]
            assert tuning["default_ndcg@10"] == pytest.approx(default)
            assert tuning["validation_ndcg@10"] >= default - 1e-6
            assert set(models[candidate.name]["params"]) == set(candidate.space)


def test_what_is_measured_is_what_is_served(ratings: Path) -> None:
    (part,) = PROTOCOLS["strong"](read_ratings(ratings), seed=1).test
    for candidate in CANDIDATES:
        scorer = candidate.fit(part, candidate.defaults, Conditions(1, 2))
        if not isinstance(scorer, ProductScorer):
            continue
        ranked = rank(scorer, part, 10)
        for row in range(5):
            known = part.known[row]
            listed = scorer.model.recommend(History(known.indices, known.data), 10)
            assert [item.item_id for item in listed] == ranked[row].tolist()


def small_part(
    train: csr_matrix, known: csr_matrix, seen: csr_matrix, targets: csr_matrix, users: list[int]
) -> EvalSplit:
    nothing = np.zeros(train.nnz, dtype=np.int64)
    ids = np.array(users)
    is_new = np.diff(train.indptr)[ids] == 0
    return EvalSplit(train, nothing, ids, is_new, known, seen, targets, np.zeros(len(ids), dtype=np.int64))


def test_measuring_masks_what_is_seen_and_not_only_what_is_known() -> None:
    train = csr_matrix(np.array([[1, 1, 1, 0], [1, 1, 0, 0], [1, 0, 0, 1]], dtype=np.float32))
    known = csr_matrix(np.array([[1, 0, 0, 0]], dtype=np.float32))
    seen = csr_matrix(np.array([[1, 1, 0, 0]], dtype=np.float32))
    targets = csr_matrix(np.array([[0, 0, 0, 1]], dtype=np.float32))
    part = small_part(train, known, seen, targets, [0])
    ranked = rank(popular(train), part, 3)
    assert ranked.tolist() == [[2, 3, -1]]
    measured = measure([popular(train)], [part], (1, 3), [np.eye(4, dtype=np.float32)], seed=1)
    assert measured.figures["mrr@3"]["mean"] == 0.5
    assert measured.figures["hit@1"]["mean"] == 0


def test_a_user_who_is_asked_twice_counts_once() -> None:
    train = csr_matrix(np.array([[1, 0, 0, 0], [1, 1, 0, 0], [0, 0, 0, 0]], dtype=np.float32))
    later = csr_matrix(np.array([[1, 0, 0, 0], [1, 1, 0, 0], [1, 0, 0, 0]], dtype=np.float32))
    known = csr_matrix(np.array([[1, 0, 0, 0], [1, 0, 0, 0]], dtype=np.float32))
    hit = csr_matrix(np.array([[0, 1, 0, 0], [0, 1, 0, 0]], dtype=np.float32))
    miss = csr_matrix(np.array([[0, 0, 0, 1], [0, 0, 0, 1]], dtype=np.float32))
    first = small_part(train, known, known, hit, [0, 2])
    second = small_part(later, known[:1], known[:1], miss[:1], [2])
    scorers = [popular(train), popular(later)]
    measured = measure(scorers, [first, second], (1,), [np.eye(4, dtype=np.float32)] * 2, seed=1)
    # User 0 hit; user 2 hit as a new user and missed as a known one.
    assert measured.per_user["all"]["hit@1"].tolist() == [1, 0.5]
    assert measured.per_user["known"]["hit@1"].tolist() == [1, 0]
    assert measured.per_user["new"]["hit@1"].tolist() == [1]
    assert measured.figures["hit@1"]["mean"] == 0.75


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (("--k=0",), 2, "whole numbers from 1"),
        (("--k=10,x",), 2, "whole numbers from 1"),
        (("--k=",), 2, "whole numbers from 1"),
        (("--out=/nowhere/at/all.json",), 6, "can't be written"),
        (("--ratings=/nowhere",), 4, "does not exist"),
    ],
)
def test_what_cannot_be_done_is_said_with_its_code(
    ratings: Path, tmp_path: Path, words: tuple[str, ...], code: int, message: str
) -> None:
    result = run(ratings, tmp_path / "out.json", *words)
    assert result.exit_code == code
    assert message in result.stderr
    assert not list(tmp_path.iterdir())


def test_the_old_name_writes_the_same_report(ratings: Path, tmp_path: Path) -> None:
    assert run(ratings, tmp_path / "new", "--k=5", "--threads=1").exit_code == 0
    words = ["benchmark", f"--ratings={ratings}", "--protocol=random", "--k=5", "--threads=1"]
    old = CliRunner().invoke(cli.main, [*words, f"--json={tmp_path / 'old'}"])
    assert old.exit_code == 0
    assert "dataflix / ease" in old.stdout
    reports = [json.loads((tmp_path / name).read_text()) for name in ("new", "old")]
    for report in reports:
        for model in report["models"]:
            del model["seconds"]
    assert reports[0] == reports[1]


def test_a_report_can_be_printed_as_json(ratings: Path) -> None:
    words = ["evaluate", f"--ratings={ratings}", "--protocol=strong", "--k=5", "--json"]
    report = json.loads(CliRunner().invoke(cli.main, words).stdout)
    assert report["protocol"] == "strong"
    assert {model["name"] for model in report["models"]} >= {"dataflix", "ease"}


def test_too_few_users_are_an_error_and_no_report(tmp_path: Path) -> None:
    path = tmp_path / "few.csv"
    path.write_text(
        "user,item,rating,timestamp\n" + "".join(f"{u},{i},5,{u}\n" for u in range(12) for i in range(12))
    )
    result = run(path, tmp_path / "out.json", protocol="strong")
    assert result.exit_code == 4
    assert "users" in result.stderr
    assert not (tmp_path / "out.json").exists()
