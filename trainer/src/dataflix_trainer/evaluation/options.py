"""What an evaluation can be asked for. Light to import: the command line shows these defaults in its help."""

from dataclasses import dataclass
from enum import StrEnum

# 10 items fill a page, 20 are published for each user, 100 is what a reranking would choose from.
DEFAULT_CUTOFFS = (10, 20, 100)
# Nobody looks at longer lists, and memory grows with users times this.
MAX_CUTOFF = 1000
MAIN_CUTOFF = 10
# What tuning maximizes and promotion judges by.
MAIN_METRIC = f"ndcg@{MAIN_CUTOFF}"
DEFAULT_SEED = 1


class Protocol(StrEnum):
    """A way to split ratings; see ``protocols``."""

    TEMPORAL = "temporal"
    STRONG = "strong"
    RANDOM = "random"


@dataclass(frozen=True, slots=True)
class FileEvaluationOptions:
    """How to evaluate on a file of ratings.

    Attributes:
        protocol: how the ratings are split.
        cutoffs: lengths of lists, ascending.
        seed: of everything that is drawn.
        threads: of ALS and EASE.
    """

    protocol: Protocol
    threads: int
    cutoffs: tuple[int, ...] = DEFAULT_CUTOFFS
    seed: int = DEFAULT_SEED

    @property
    def main_cutoff(self) -> int:
        """The k of the NDCG that tuning maximizes and comparisons state."""
        return MAIN_CUTOFF if MAIN_CUTOFF in self.cutoffs else min(self.cutoffs)
