{{ config(materialized='view') }}

-- A view, so that the facts are stored once. A dashboard's query joins them to
-- a few thousand movies and users.

with

ratings as (

    select * from {{ ref('fct_ratings') }}

),

movies as (

    select * from {{ ref('dim_movies') }}

),

users as (

    select * from {{ ref('dim_users') }}

),

ratings_of_movies as (

    select
        ratings.*,
        {{ movie_label('movies.title', 'movies.release_year') }} as movie,
        {{ genres_or_unclassified('movies.genres') }} as genres,
        movies.release_year

    from ratings

    inner join movies on ratings.movie_id = movies.movie_id

),

final as (

    select
        -- ids
        ratings_of_movies.user_id,
        ratings_of_movies.movie_id,

        -- attributes of the movie
        ratings_of_movies.movie,
        ratings_of_movies.genres,
        ratings_of_movies.release_year,

        -- region of the user
        users.state,
        users.country,

        -- opinion
        ratings_of_movies.rating,
        ratings_of_movies.is_liked,

        -- timestamps
        ratings_of_movies.rated_at

    from ratings_of_movies

    inner join users on ratings_of_movies.user_id = users.user_id

)

select * from final
