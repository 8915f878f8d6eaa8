"""Errors of the recommender; each message names the input and the way out."""

from pathlib import Path


class RecommenderError(Exception):
    """Base class of everything this package raises on purpose."""


class ArtifactError(RecommenderError):
    """A model artifact on disk is missing, damaged or of a format this code does not know."""

    def __init__(self, file: Path, reason: str) -> None:
        super().__init__(f"model artifact {file}: {reason}")
        self.file = file
        self.reason = reason


class InvalidModelError(RecommenderError):
    """Arrays handed to a model do not fit together or hold values nobody could score with."""


class InvalidHistoryError(RecommenderError):
    """A user's history holds a duplicate film, an impossible rating or a weight that is not a number."""


class UnknownMovieError(RecommenderError):
    """A film that the model was not trained on."""

    def __init__(self, movie_id: int) -> None:
        super().__init__(f"movie {movie_id} is not known to this model")
        self.movie_id = movie_id
