{{ config(materialized='view') }}

-- A view, so that the facts are stored once. A dashboard's query joins them to
-- a few thousand movies and users.

with

watches as (

    select * from {{ ref('fct_watches') }}

),

movies as (

    select * from {{ ref('dim_movies') }}

),

users as (

    select * from {{ ref('dim_users') }}

),

watches_of_movies as (

    select
        watches.*,
        {{ movie_label('movies.title', 'movies.release_year') }} as movie,
        {{ genres_or_unclassified('movies.genres') }} as genres,
        movies.release_year

    from watches

    inner join movies on watches.movie_id = movies.movie_id

),

final as (

    select
        -- ids
        watches_of_movies.user_id,
        watches_of_movies.movie_id,

        -- attributes of the movie
        watches_of_movies.movie,
        watches_of_movies.genres,
        watches_of_movies.release_year,

        -- region of the user
        users.state,
        users.country,

        -- booleans
        watches_of_movies.is_rated,

        -- timestamps
        watches_of_movies.watched_at

    from watches_of_movies

    inner join users on watches_of_movies.user_id = users.user_id

)

select * from final
