{{ config(engine='MergeTree()', order_by=['user_rank', 'movie_rank']) }}

-- A part of the matrix that fits into a chart.

with

matrix as (

    select * from {{ ref('user_item_matrix') }}

),

movies as (

    select * from {{ ref('dim_movies') }}

),

most_active_users as (

    select
        user_id,
        cast(
            row_number() over (order by count() desc, user_id asc) as UInt32
        ) as user_rank

    from matrix

    group by user_id

    order by user_rank asc

    limit {{ var('most_active_users') }}

),

most_seen_movies as (

    select
        movie_id,
        cast(
            row_number() over (order by count() desc, movie_id asc) as UInt32
        ) as movie_rank

    from matrix

    group by movie_id

    order by movie_rank asc

    limit {{ var('most_seen_movies') }}

),

described_movies as (

    select
        most_seen_movies.movie_id,
        most_seen_movies.movie_rank,
        {{ movie_label('movies.title', 'movies.release_year') }} as movie,
        {{ genres_or_unclassified('movies.genres') }} as genres,
        movies.release_year

    from most_seen_movies

    inner join movies on most_seen_movies.movie_id = movies.movie_id

),

interactions as (

    select
        matrix.*,
        most_active_users.user_rank

    from matrix

    inner join most_active_users
        on matrix.user_id = most_active_users.user_id

),

final as (

    select
        -- ids
        interactions.user_id,
        interactions.movie_id,

        -- labels
        concat('User ', toString(interactions.user_id)) as user,
        described_movies.movie,
        described_movies.genres,
        described_movies.release_year,

        -- measures
        interactions.user_rank,
        described_movies.movie_rank,
        interactions.weight,

        -- timestamps
        interactions.last_event_at

    from interactions

    inner join described_movies
        on interactions.movie_id = described_movies.movie_id

)

select * from final
