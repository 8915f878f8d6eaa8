"""Declarations of what cannot be read from a file: classes of personal data, and columns that code computes.

Each declaration is checked: a name that no longer exists is a finding.
"""

from collections.abc import Mapping

# The path of this file, for findings about it.
FILE = "tools/src/dataflix_tools/lineage/declared.py"

# Each column of these tables has a class.
CLASSIFIED: Mapping[str, Mapping[str, str]] = {
    "users": {
        "user_id": "plain",
        "username": "personal",
        "email": "personal",
        "first_name": "personal",
        "last_name": "personal",
        "city": "personal",
        "state": "plain",
        "country": "plain",
        "birth_year": "plain",
        "created_at": "plain",
        "updated_at": "plain",
        "last_xid": "plain",
    },
}

# Sources of the inputs and outputs of the trained model.
SIGNATURE: Mapping[str, tuple[str, ...]] = {
    "inputs.movie_ids": ("artifact Item.item_id",),
    "inputs.ratings": ("artifact ConfidenceWeights.rating",),
    "outputs.movie_ids": ("artifact Item.item_id",),
    "outputs.scores": (
        "training MATRIX_QUERY.user_id",
        "training MATRIX_QUERY.movie_id",
        "training MATRIX_QUERY.weight",
        "artifact ConfidenceWeights.weight",
    ),
}

# The source of an API schema's field: the first of these tables that has a column of its name.
API_TABLES: Mapping[str, tuple[str, ...]] = {
    "AppliedRule": ("postgres ranking_rules",),
    "Because": ("artifact Item", "postgres ratings"),
    "Block": ("postgres user_blocks", "postgres movies"),
    "Erasure": ("postgres erasures",),
    "ExportedBlock": ("postgres user_blocks", "postgres movies"),
    "ExportedFeedback": ("postgres feedback", "postgres movies"),
    "ExportedInteraction": ("postgres interactions", "postgres movies"),
    "ExportedRating": ("postgres ratings", "postgres movies"),
    "ExportedWatch": ("postgres watched_movies", "postgres movies"),
    "Genre": (),
    "Movie": ("postgres movies",),
    "MovieSummary": ("postgres movies",),
    "RankedMovie": ("postgres movies",),
    "RatedMovie": ("postgres movies", "postgres ratings"),
    "Recommendation": ("artifact Item", "postgres movies"),
    "Rule": ("postgres ranking_rules", "postgres movies"),
    "SessionRating": ("postgres ratings",),
    "StoredFeedback": ("postgres feedback",),
    "StoredRating": ("postgres ratings", "postgres movies"),
    "StoredWatch": ("postgres watched_movies", "postgres movies"),
    "User": ("postgres users",),
    "UserSummary": ("postgres users",),
    "WatchedMovie": ("postgres movies", "postgres watched_movies"),
    "NewBlock": ("postgres user_blocks",),
    "NewFeedback": ("postgres feedback",),
    "NewMovie": ("postgres movies",),
    "NewRating": ("postgres ratings",),
    "NewRule": ("postgres ranking_rules",),
    "NewUser": ("postgres users",),
    "NewWatch": ("postgres watched_movies",),
}

_SCORE = ("signature outputs.scores",)
_RANKING = ("artifact Item.bayesian_mean", "artifact Item.trending_score")

# Fields that code computes from columns with other names.
API_COMPUTED: Mapping[str, tuple[str, ...]] = {
    "Because.contribution": _SCORE,
    "Erasure.interactions_count": ("postgres interactions.kind",),
    "ExportedInteraction.attributes": ("postgres interactions.movie_id",),
    "Genre.genre": ("postgres movies.genres",),
    "Genre.movies_count": ("postgres movies.movie_id",),
    "Movie.attributes": ("postgres movies.movie_id",),
    "Movie.mean_rating": ("postgres ratings.rating",),
    "Movie.ratings_count": ("postgres ratings.rating",),
    "NewMovie.allow_same_title": ("postgres movies.title", "postgres movies.release_year"),
    "RankedMovie.rank": _RANKING,
    "RankedMovie.score": _RANKING,
    "Reason.other": _SCORE,
    "Reason.popularity": _SCORE,
    "Recommendation.rank": _SCORE,
    "Recommendation.score": _SCORE,
    "Rule.is_active": ("postgres ranking_rules.starts_at", "postgres ranking_rules.ends_at"),
    "User.ratings_count": ("postgres ratings.rating",),
    "User.watched_count": ("postgres watched_movies.movie_id",),
    "UserSummary.ratings_count": ("postgres ratings.rating",),
    "UserSummary.watched_count": ("postgres watched_movies.movie_id",),
}

# Schemas without data of the application: errors, health, pages, requests, facts about model and source.
API_ENVELOPES = frozenset(
    {"Checks", "FieldError", "GenreMeta", "Health", "ModelMeta", "PageMeta", "Problem", "Readiness"}
    | {"SourceKind", "SourceShown", "SourceWords"}
    | {"ExportedKey", "PersonalExport"}
    | {"FeedbackBatch", "FeedbackCount", "RecommendationMeta", "ServedModel", "SessionRequest"}
)

# Fields that hold other schemas, or words that the code chooses.
API_PARTS = frozenset({"data", "meta", "reason", "because", "kind", "text", "rule"})
