{{ config(severity='warn') }}

-- Events whose user or movie is not loaded. They stay out of the facts until
-- it is. A few are normal: the load reads the tables one after another while
-- people keep rating. The same events on every run mean that a row is missing.
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

    union all

    select
        user_id,
        movie_id
    from {{ ref('stg_interactions') }}

)

select * from events

where
    user_id not in (select users.user_id from users)
    or movie_id not in (select movies.movie_id from movies)
