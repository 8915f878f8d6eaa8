"""The served model, and the meta of the lists that it makes."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import Field, with_config
from typing_extensions import TypedDict

from dataflix_backend.schemas.common import STRICT

Source = Literal["model", "popularity", "genres"]


@with_config(STRICT)
class ModelMeta(TypedDict):
    """The origin of a ranking, and which part of it this is."""

    count: Annotated[int, Field(description="Rows in this answer.")]
    limit: int
    offset: int
    source: Annotated[
        Source,
        Field(
            description="model: the trained model. popularity: no model yet, so from current ratings. "
            "genres: movies of the same genres, because the model does not know the movie."
        ),
    ]
    model_version: Annotated[str | None, Field(description="Null while there is no model.")]
    trained_at: Annotated[datetime | None, Field(description="Null while there is no model.")]
    stale: Annotated[
        bool,
        Field(
            description="True while Postgres is away: movies are as the model knows them, history and rules "
            "as the answering worker last read them."
        ),
    ]
    as_of: Annotated[
        datetime | None,
        Field(
            description="When the history of a stale list was read. Null if no history was known: then "
            "movies that were seen or blocked may be in the list."
        ),
    ]


@with_config(STRICT)
class ServedModel(TypedDict):
    """The model that is served now."""

    version: str
    trained_at: datetime
    loaded_at: Annotated[datetime, Field(description="When the answering worker loaded it.")]
    age_seconds: Annotated[float, Field(description="Seconds since it was trained.")]
    registry_reached_at: Annotated[
        datetime | None, Field(description="When the model registry last answered; null if it never did.")
    ]
    champion_problem: Annotated[
        str | None,
        Field(description="Why the registry's champion is not served; null when it is, or there is none."),
    ]
    held: Annotated[
        bool, Field(description="Whether the promotion rule replaces it by no other version (trainer hold).")
    ]
    held_since: Annotated[
        datetime | None, Field(description="Since when it is held; null if it is not, or nobody knows.")
    ]
    held_reason: Annotated[str | None, Field(description="Why it is held; null if nobody said it.")]
    metrics: dict[str, float]
    factors: int
    regularization: float
    alpha: float
    iterations: int
    seed: int
    users_count: int
    movies_count: int
    interactions_count: int
    dataset: Annotated[dict[str, Any], Field(description="Identity of the data it was trained on.")]
    dbt_manifest_sha256: str
