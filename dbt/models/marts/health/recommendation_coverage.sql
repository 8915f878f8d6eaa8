{{ config(materialized='view') }}

-- A view, because the trainer writes recommendations after dbt has run. It runs
-- with the reader's settings, so a movie without a match may join to 0 or NULL.

with

movies as (

    select * from {{ ref('ratings_aggregated') }}

),

recommendations as (

    select * from {{ source('registry', 'recommendations') }}

),

users_by_movie as (

    select
        movie_id,
        uniqExact(user_id) as users_count,
        min(rank) as best_rank

    from recommendations

    group by movie_id

),

final as (

    select
        -- ids
        movies.movie_id,

        -- attributes of the movie
        {{ movie_label('movies.title', 'movies.release_year') }} as movie,
        {{ genres_or_unclassified('movies.genres') }} as genres,
        movies.release_year,

        -- counts
        movies.ratings_count,
        coalesce(users_by_movie.users_count, 0) as users_count,
        nullIf(coalesce(users_by_movie.best_rank, 0), 0) as best_rank,

        -- booleans
        cast(coalesce(users_by_movie.users_count, 0) > 0 as Bool)
            as is_recommended

    from movies

    left join users_by_movie on movies.movie_id = users_by_movie.movie_id

)

select * from final
