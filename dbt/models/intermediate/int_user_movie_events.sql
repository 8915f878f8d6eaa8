{{
    config(
        engine='MergeTree()',
        order_by=['user_id', 'movie_id'],
        query_settings={'join_algorithm': 'full_sorting_merge'},
    )
}}

-- A table, because five models read it and the join is the most expensive step.
-- All sides are sorted by the join key: a merge join takes half the memory of
-- a hash join, and less time.

with

users as (

    select user_id from {{ ref('stg_users') }}

),

movies as (

    select movie_id from {{ ref('stg_movies') }}

),

-- An event whose user or movie is not loaded comes with the next run.
ratings as (

    select * from {{ ref('stg_ratings') }}

    where
        user_id in (select users.user_id from users)
        and movie_id in (select movies.movie_id from movies)

),

watched_movies as (

    select * from {{ ref('stg_watched_movies') }}

    where
        user_id in (select users.user_id from users)
        and movie_id in (select movies.movie_id from movies)

),

interactions as (

    select
        user_id,
        movie_id,
        {{ kinds_weight('weight', 'events_count') }} as kinds_weight,
        max(last_at) as interacted_at

    from {{ ref('int_user_movie_kinds') }}

    group by
        user_id,
        movie_id

),

actions as (

    select
        assumeNotNull(
            coalesce(watched_movies.user_id, interactions.user_id)
        ) as user_id,
        assumeNotNull(
            coalesce(watched_movies.movie_id, interactions.movie_id)
        ) as movie_id,
        cast(watched_movies.user_id is not null as Bool) as has_watched,
        interactions.kinds_weight,
        watched_movies.watched_at,
        assumeNotNull(
            greatest(
                coalesce(
                    watched_movies.watched_at, interactions.interacted_at
                ),
                coalesce(
                    interactions.interacted_at, watched_movies.watched_at
                )
            )
        ) as last_action_at

    from watched_movies

    full outer join interactions
        on
            watched_movies.user_id = interactions.user_id
            and watched_movies.movie_id = interactions.movie_id

),

final as (

    select
        -- ids
        assumeNotNull(
            coalesce(ratings.user_id, actions.user_id)
        ) as user_id,
        assumeNotNull(
            coalesce(ratings.movie_id, actions.movie_id)
        ) as movie_id,

        -- opinion
        ratings.rating,
        ratings.is_liked,

        -- measures
        actions.kinds_weight,

        -- booleans
        cast(coalesce(actions.has_watched, false) as Bool) as has_watched,

        -- timestamps
        ratings.rated_at,
        actions.watched_at,
        assumeNotNull(
            greatest(
                coalesce(ratings.rated_at, actions.last_action_at),
                coalesce(actions.last_action_at, ratings.rated_at)
            )
        ) as last_event_at

    from ratings

    full outer join actions
        on
            ratings.user_id = actions.user_id
            and ratings.movie_id = actions.movie_id

)

select * from final
