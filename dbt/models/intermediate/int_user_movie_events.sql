{{
    config(
        engine='MergeTree()',
        order_by=['user_id', 'movie_id'],
        query_settings={'join_algorithm': 'full_sorting_merge'},
    )
}}

-- A table, because five models read it and the join is the most expensive step.
-- Both sides are sorted by the join key: a merge join takes half the memory of
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

final as (

    select
        -- ids
        assumeNotNull(
            coalesce(ratings.user_id, watched_movies.user_id)
        ) as user_id,
        assumeNotNull(
            coalesce(ratings.movie_id, watched_movies.movie_id)
        ) as movie_id,

        -- opinion
        ratings.rating,
        ratings.is_liked,

        -- booleans
        cast(watched_movies.user_id is not null as Bool) as has_watched,

        -- timestamps
        ratings.rated_at,
        watched_movies.watched_at,
        assumeNotNull(
            greatest(
                coalesce(ratings.rated_at, watched_movies.watched_at),
                coalesce(watched_movies.watched_at, ratings.rated_at)
            )
        ) as last_event_at

    from ratings

    full outer join watched_movies
        on
            ratings.user_id = watched_movies.user_id
            and ratings.movie_id = watched_movies.movie_id

)

select * from final
