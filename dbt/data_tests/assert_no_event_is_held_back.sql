{{ config(severity='warn') }}

-- Events whose user or film is not loaded: they wait outside the facts. A few
-- are normal, since the tables are read one after another while people go on
-- rating. The same ones on every run mean that a row is missing.
-- depends_on: {{ ref('int_user_movie_events') }}

with

users as (

    select user_id from {{ ref('stg_users') }}

),

movies as (

    select movie_id from {{ ref('stg_movies') }}

),

events as (

    select
        user_id,
        movie_id
    from {{ ref('stg_ratings') }}

    union all

    select
        user_id,
        movie_id
    from {{ ref('stg_watched_movies') }}

)

select * from events

where
    user_id not in (select users.user_id from users)
    or movie_id not in (select movies.movie_id from movies)
