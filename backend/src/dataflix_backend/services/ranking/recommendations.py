"""Recommendations for a user or a session: only movies that exist in Postgres now."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dataflix_backend.database import Row
from dataflix_backend.queries.ranking_context import ActiveRule
from dataflix_backend.schemas import recommendations as schema
from dataflix_backend.schemas.recommendation_params import RecommendationParams
from dataflix_backend.services.model.store import LoadedModel
from dataflix_backend.services.ranking.context_reader import ContextReader, RequestContext
from dataflix_backend.services.ranking.movie_rules import MovieRules
from dataflix_backend.services.ranking.ranked_movies import REACH_GROWTH
from dataflix_backend.services.ranking.reasons import ReasonWords
from dataflix_recommender import Event, Events, History, Recommendation, Reranker


@dataclass(frozen=True, slots=True)
class RecommendedMovies:
    """A list of recommendations.

    Attributes:
        movies: the rows of the list.
        eligible: how many movies could be in it.
        ignored: ids of movies in the history that the model does not know.
        loaded: the model, None while there are no movies.
        context: the state of the data, which says whether the list is stale.
    """

    movies: list[schema.Recommendation]
    eligible: int
    ignored: list[int]
    loaded: LoadedModel | None
    context: RequestContext


def recommend_to_user(
    reader: ContextReader, loaded: LoadedModel | None, user_id: int, params: RecommendationParams
) -> RecommendedMovies:
    """Return the best movies that the user has neither rated nor watched and that are not blocked.

    The user is folded into the model from the events that are in Postgres now.

    Raises:
        UnknownIdError: the user does not exist.
    """
    context = reader.read(user_id)
    if loaded is None:
        reader.having(params.attribute, None)
        return RecommendedMovies([], 0, [], None, context)
    return _recommend(reader, loaded, context, params)


def recommend_to_session(
    reader: ContextReader, loaded: LoadedModel | None, events: Sequence[Event], params: RecommendationParams
) -> RecommendedMovies:
    """Return the best movies for a person with these events; nothing is stored."""
    if loaded is None:
        reader.having(params.attribute, None)
        return RecommendedMovies([], 0, [event[0] for event in events], None, RequestContext())
    return _recommend(reader, loaded, reader.read(None).with_events(Events.from_rows(events)), params)


def _recommend(
    reader: ContextReader,
    loaded: LoadedModel,
    context: RequestContext,
    params: RecommendationParams,
) -> RecommendedMovies:
    """Return the best ``params.limit`` movies, fewer only if fewer are eligible."""
    model = loaded.model
    profile = model.user_profile(History.from_events(context.ranking.events, model.weights))
    words = ReasonWords.of(context.ranking.events, reader.source, model)
    rules = MovieRules.select(context.ranking.rules, model)
    reranker = Reranker(model.item_features, params.rerank_options, rules.rules)
    excluded = {*context.ranking.blocked, *params.exclude}
    eligible = profile.eligible(excluded, params.filter.mask(model.catalogue))
    passing = reader.having(params.attribute, model)
    if passing is not None:
        eligible &= passing
    reach = params.limit
    while True:
        ranked = profile.recommend(params.limit, eligible, reranker=reranker)
        movies, context = reader.find_movies(context, [item.item_id for item in ranked], model)
        if len(movies) == len(ranked):
            break
        reach = min(reach * REACH_GROWTH, model.size)
        further = profile.recommend(reach, eligible, reranker=reranker, explain=False)
        candidates = {item.item_id for item in further}
        existing, context = reader.find_movies(context, list(candidates), model)
        eligible[model.positions(list(candidates - existing.keys()))] = False
    return RecommendedMovies(
        [_row(item, movies[item.item_id], rules.applied.get(item.item_id), words) for item in ranked],
        int(np.count_nonzero(eligible)),
        profile.unknown_item_ids.tolist(),
        loaded,
        context,
    )


def _row(
    item: Recommendation, movie: Row, rule: ActiveRule | None, words: ReasonWords
) -> schema.Recommendation:
    if item.reason is None:
        raise ValueError(f"movie {item.item_id} was recommended without a reason")
    reason = item.reason
    reason_kind, reason_text = words.put(reason)
    return {
        "movie_id": item.item_id,
        "title": movie["title"],
        "genres": movie["genres"],
        "release_year": movie["release_year"],
        "score": item.score,
        "rank": item.rank,
        "reason": {
            "kind": reason_kind,
            "text": reason_text,
            "because": [
                {
                    "movie_id": part.item_id,
                    "title": part.title,
                    "rating": part.rating,
                    "kind": words.of_event(part),
                    "contribution": part.value,
                }
                for part in reason.contributions
            ],
            "other": reason.remainder,
            "popularity": reason.popularity,
        },
        "rule": {"rule_id": rule.rule_id, "kind": rule.kind} if rule else None,
    }
