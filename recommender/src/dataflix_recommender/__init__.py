"""The recommendation model as data and maths. It knows items and users, and nothing of what the items are.

Serving one user::

    model = Model.load(path)
    history = History.from_events([(item_id, 4.5, None), (other_id, None, None)], model.weights)
    for item in model.recommend(history, n=10):
        print(item.rank, item.item_id, item.score, item.reason.text)

- ``Model``: an artifact that is loaded; recommends, scores, explains, finds similar items.
- ``History``: the weighted events of one user. ``Events``: the same before weighing, as columns;
  ``KindCounts`` of them: what was done with the items, by kind.
- ``UserProfile``: one history under one model, for several questions.
- ``BatchRanker``: lists for many users at once, the same as those of ``Model.recommend``.
- ``Filter``, ``Reranker`` (with ``RerankOptions`` and ``Rules``): what may be in a list, and in which order.
- ``Reason`` and its ``Contribution``: why an item is recommended; they sum to its score.
- ``ModelInfo``, ``ItemCatalogue`` (of ``Item``), ``ConfidenceWeights``, ``ItemItemWeights``: the parts of a
  model, for code that trains one. ``model.save(path)`` writes it.
- ``SourceIdentity``: the database that a model's events come from.
- ``metrics``: ranking metrics. ``dataflix_recommender.baselines``: models to compare with.

All errors are a ``RecommenderError``.
"""

from dataflix_recommender import metrics
from dataflix_recommender.algorithms.batch_fold_in import BatchFoldIn
from dataflix_recommender.algorithms.top_k import NO_ITEM, top_k_rows
from dataflix_recommender.batch_ranker import BatchRanker
from dataflix_recommender.blas import use_one_blas_thread
from dataflix_recommender.data.catalogue import Item, ItemCatalogue
from dataflix_recommender.data.confidence_weights import DEFAULT_WEIGHT_ROWS, ConfidenceWeights
from dataflix_recommender.data.history import EMPTY_HISTORY, Event, Events, History
from dataflix_recommender.data.item_item_weights import ItemItemWeights, event_values
from dataflix_recommender.data.kind_counts import KindCounts
from dataflix_recommender.data.model_info import ModelInfo
from dataflix_recommender.data.recent_popularity import RecentPopularity, recent_values
from dataflix_recommender.data.source_identity import OWN_SOURCE, SourceIdentity
from dataflix_recommender.errors import (
    ArtifactError,
    InvalidHistoryError,
    InvalidModelError,
    RecommenderError,
    UnknownItemError,
)
from dataflix_recommender.lists.explanation import TRENDING_UNRATED, Contribution, Reason
from dataflix_recommender.lists.filter import Filter
from dataflix_recommender.lists.reranker import ItemFeatures, Reranker, RerankOptions, RuleKind, Rules
from dataflix_recommender.model import Model
from dataflix_recommender.user_profile import Recommendation, UserProfile

__all__ = [
    "DEFAULT_WEIGHT_ROWS",
    "EMPTY_HISTORY",
    "NO_ITEM",
    "OWN_SOURCE",
    "TRENDING_UNRATED",
    "ArtifactError",
    "BatchFoldIn",
    "BatchRanker",
    "ConfidenceWeights",
    "Contribution",
    "Event",
    "Events",
    "Filter",
    "History",
    "InvalidHistoryError",
    "InvalidModelError",
    "Item",
    "ItemCatalogue",
    "ItemFeatures",
    "ItemItemWeights",
    "KindCounts",
    "Model",
    "ModelInfo",
    "Reason",
    "RecentPopularity",
    "Recommendation",
    "RecommenderError",
    "RerankOptions",
    "Reranker",
    "RuleKind",
    "Rules",
    "SourceIdentity",
    "UnknownItemError",
    "UserProfile",
    "event_values",
    "metrics",
    "recent_values",
    "top_k_rows",
]

# After the imports above: they load the libraries whose threads are limited.
use_one_blas_thread()
