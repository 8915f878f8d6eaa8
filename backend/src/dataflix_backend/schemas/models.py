"""The served model, and what every list made by it says about it."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import Field, with_config
from typing_extensions import TypedDict

from dataflix_backend.schemas.common import STRICT

Source = Literal["model", "popularity", "genres"]


@with_config(STRICT)
class ModelMeta(TypedDict):
    """Who made a ranking, when, and which part of it this is."""

    count: Annotated[int, Field(description="Rows in this answer.")]
    limit: int
    offset: int
    source: Annotated[
        Source,
        Field(
            description="model: the trained model. popularity: no model yet, computed from present ratings. "
            "genres: the model does not know the film, so films of the same genres are given."
        ),
    ]
    model_version: Annotated[str | None, Field(description="Null while there is no model.")]
    trained_at: Annotated[datetime | None, Field(description="Null while there is no model.")]
    stale: Annotated[
        bool,
        Field(
            description="True while Postgres is away: films as the model knows them, history and rules as "
            "they were last read by the worker that answers."
        ),
    ]
    as_of: Annotated[
        datetime | None,
        Field(
            description="Of a stale list: when its history was read. Null where none was known; then films "
            "that were seen or blocked may be in it."
        ),
    ]


@with_config(STRICT)
class ServedModel(TypedDict):
    """The model that answers at this moment."""

    version: str
    trained_at: datetime
    loaded_at: Annotated[datetime, Field(description="When the worker that answers took it up.")]
    age_seconds: Annotated[float, Field(description="Seconds since it was trained.")]
    registry_reached_at: Annotated[
        datetime | None, Field(description="When the model registry last answered; null if it never did.")
    ]
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
