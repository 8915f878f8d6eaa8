{{ config(engine='MergeTree()', order_by=['movie_id']) }}

with

movies as (

    select * from {{ ref('stg_movies') }}

),

events as (

    select * from {{ ref('int_user_movie_events') }}

),

events_by_movie as (

    select
        movie_id,
        count() as events_count,
        count(rating) as ratings_count,
        countIf(has_watched) as watches_count,
        countIf(is_liked) as likes_count,
        countIf(not is_liked) as dislikes_count,
        sum(cast(rating as Nullable(Float64))) as ratings_sum,
        avg(rating) as mean_rating,
        max(last_event_at) as last_event_at

    from events

    group by movie_id

),

-- The prior is the middle of the scale while there are no ratings.
overall as (

    select coalesce(avg(rating), {{ middle_rating() }}) as prior_mean

    from events

),

counted as (

    select
        -- ids
        movies.movie_id,

        -- attributes of the movie
        movies.title,
        movies.genres,
        movies.release_year,

        -- counts
        coalesce(events_by_movie.events_count, 0) as events_count,
        coalesce(events_by_movie.ratings_count, 0) as ratings_count,
        coalesce(events_by_movie.watches_count, 0) as watches_count,
        coalesce(events_by_movie.likes_count, 0) as likes_count,
        coalesce(events_by_movie.dislikes_count, 0) as dislikes_count,

        -- measures
        coalesce(events_by_movie.ratings_sum, 0) as ratings_sum,
        events_by_movie.mean_rating,

        -- timestamps
        events_by_movie.last_event_at

    from movies

    left join events_by_movie on movies.movie_id = events_by_movie.movie_id

),

final as (

    select
        -- ids
        counted.movie_id,

        -- attributes of the movie
        counted.title,
        counted.genres,
        counted.release_year,

        -- counts
        counted.events_count,
        counted.ratings_count,
        counted.watches_count,
        counted.likes_count,
        counted.dislikes_count,

        -- means
        counted.mean_rating,
        {{
            bayesian_mean(
                'counted.ratings_sum',
                'counted.ratings_count',
                'overall.prior_mean',
            )
        }} as bayesian_mean,

        -- timestamps
        counted.last_event_at

    from counted

    cross join overall

)

select * from final
