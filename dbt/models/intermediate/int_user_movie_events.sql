{{
    config(
        engine='MergeTree()',
        order_by=['user_id', 'movie_id'],
        query_settings={'join_algorithm': 'full_sorting_merge'},
    )
}}

-- A table, since five models read it and the join is the dearest step. Both
-- sides lie sorted by the join's key: merging them takes half the memory of a
-- hash join and less time.

with

users as (

    select user_id from {{ ref('stg_users') }}

),

movies as (

    select movie_id from {{ ref('stg_movies') }}

),

-- An event whose user or film is not in this load comes with the next one.
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

        -- verdict
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
