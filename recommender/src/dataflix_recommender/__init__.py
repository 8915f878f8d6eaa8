"""The recommendation model as data and maths: artifact, fold-in, ranking, explanation and metrics."""

from dataflix_recommender import metrics
from dataflix_recommender.batch import ManyRanked, rank_rows, recommend_many
from dataflix_recommender.blas import use_one_blas_thread
from dataflix_recommender.catalogue import Item, ItemCatalogue
from dataflix_recommender.errors import (
    ArtifactError,
    InvalidHistoryError,
    InvalidModelError,
    RecommenderError,
    UnknownMovieError,
)
from dataflix_recommender.explanation import Because, Reason
from dataflix_recommender.filters import Filter
from dataflix_recommender.history import EMPTY_HISTORY, Events, History
from dataflix_recommender.info import ModelInfo
from dataflix_recommender.links import ItemLinks
from dataflix_recommender.model import Model
from dataflix_recommender.rerank import Knobs, RuleKind, Rules, chooser
from dataflix_recommender.taste import Recommendation, Taste
from dataflix_recommender.weights import DEFAULT_WEIGHT_ROWS, ConfidenceWeights

__all__ = [
    "DEFAULT_WEIGHT_ROWS",
    "EMPTY_HISTORY",
    "ArtifactError",
    "Because",
    "ConfidenceWeights",
    "Events",
    "Filter",
    "History",
    "InvalidHistoryError",
    "InvalidModelError",
    "Item",
    "ItemCatalogue",
    "ItemLinks",
    "Knobs",
    "ManyRanked",
    "Model",
    "ModelInfo",
    "Reason",
    "Recommendation",
    "RecommenderError",
    "RuleKind",
    "Rules",
    "Taste",
    "UnknownMovieError",
    "chooser",
    "metrics",
    "rank_rows",
    "recommend_many",
]

# After the imports above, which load the libraries that are limited.
use_one_blas_thread()
