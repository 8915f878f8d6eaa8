"""The errors of this package. Each message names the input and what to do."""

from pathlib import Path


class RecommenderError(Exception):
    """Base class of every error that this package raises on purpose."""


class ArtifactError(RecommenderError):
    """A model artifact on disk is missing, damaged or of a format that this code cannot read.

    Attributes:
        file: The file or directory that is at fault.
        reason: What is wrong with it.
    """

    def __init__(self, file: Path, reason: str) -> None:
        super().__init__(f"model artifact {file}: {reason}")
        self.file = file
        self.reason = reason


class InvalidModelError(RecommenderError):
    """Arrays of a model do not fit together, or hold values that give no scores."""


class InvalidHistoryError(RecommenderError):
    """A history holds an item twice, an impossible rating, or a weight that is not a finite number."""


class UnknownItemError(RecommenderError):
    """The model was not trained on this item.

    Attributes:
        item_id: The id that was asked for.
    """

    def __init__(self, item_id: int) -> None:
        super().__init__(f"item {item_id} is not known to this model")
        self.item_id = item_id
