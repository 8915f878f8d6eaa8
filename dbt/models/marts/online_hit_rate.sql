{{ config(engine='MergeTree()', order_by=['model_version']) }}

-- What users did with the lists of each model version. A list without a 'shown'
-- event is left out, because its misses are not known either.

with

feedback as (

    select * from {{ ref('fct_feedback') }}

),

listed_movies as (

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
        listed_movies.recommendation_id,
        any(listed_movies.model_version) as model_version,
        min(listed_movies.listed_at) as listed_at,
        countIf(listed_movies.was_shown) as shown_count,
        countIf(listed_movies.was_shown and listed_movies.was_hit) as hit_count,
        countIf(
            listed_movies.was_shown and listed_movies.was_dismissed
        ) as dismissed_count

    from listed_movies

    group by listed_movies.recommendation_id

    having countIf(listed_movies.was_shown) > 0

),

final as (

    select
        -- ids
        lists.model_version,

        -- lists
        count() as lists_count,
        countIf(lists.hit_count > 0) as hit_lists_count,
        countIf(lists.hit_count > 0) / count() as hit_rate,

        -- movies
        sum(lists.shown_count) as movies_shown_count,
        sum(lists.hit_count) as movies_hit_count,
        sum(lists.hit_count) / sum(lists.shown_count) as movie_hit_rate,
        sum(lists.dismissed_count) as movies_dismissed_count,

        -- timestamps
        min(lists.listed_at) as first_listed_at,
        max(lists.listed_at) as last_listed_at

    from lists

    group by lists.model_version

)

select * from final
