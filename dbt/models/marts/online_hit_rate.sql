{{ config(engine='MergeTree()', order_by=['model_version']) }}

-- What became of the lists that each version made. A list that nobody says was
-- shown is left out: its misses are not told either.

with

feedback as (

    select * from {{ ref('fct_feedback') }}

),

films as (

    select
        feedback.recommendation_id,
        feedback.movie_id,
        any(feedback.model_version) as model_version,
        min(feedback.listed_at) as listed_at,
        countIf(feedback.event = 'shown') > 0 as was_shown,
        countIf(feedback.event in ('clicked', 'watched')) > 0 as was_hit,
        countIf(feedback.event = 'dismissed') > 0 as was_dismissed

    from feedback

    group by
        feedback.recommendation_id,
        feedback.movie_id

),

lists as (

    select
        films.recommendation_id,
        any(films.model_version) as model_version,
        min(films.listed_at) as listed_at,
        countIf(films.was_shown) as shown_count,
        countIf(films.was_shown and films.was_hit) as hit_count,
        countIf(films.was_shown and films.was_dismissed) as dismissed_count

    from films

    group by films.recommendation_id

    having countIf(films.was_shown) > 0

),

final as (

    select
        -- ids
        lists.model_version,

        -- of lists
        count() as lists_count,
        countIf(lists.hit_count > 0) as hit_lists_count,
        countIf(lists.hit_count > 0) / count() as hit_rate,

        -- of films
        sum(lists.shown_count) as films_shown_count,
        sum(lists.hit_count) as films_hit_count,
        sum(lists.hit_count) / sum(lists.shown_count) as film_hit_rate,
        sum(lists.dismissed_count) as films_dismissed_count,

        -- timestamps
        min(lists.listed_at) as first_listed_at,
        max(lists.listed_at) as last_listed_at

    from lists

    group by lists.model_version

)

select * from final
