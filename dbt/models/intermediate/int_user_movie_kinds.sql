{{
    config(
        engine='MergeTree()',
        order_by=['user_id', 'movie_id', 'kind'],
    )
}}

-- An event whose user, movie or kind is not loaded comes with the next run. A
-- kind without a weight is an opinion: stars and thumb are in the ratings.

with

users as (

    select user_id from {{ ref('stg_users') }}

),

movies as (

    select movie_id from {{ ref('stg_movies') }}

),

kinds as (

    select * from {{ ref('stg_event_kinds') }}

    where weight is not null

),

interactions as (

    select * from {{ ref('stg_interactions') }}

    where
        user_id in (select users.user_id from users)
        and movie_id in (select movies.movie_id from movies)

),

final as (

    select
        -- ids
        interactions.user_id,
        interactions.movie_id,
        interactions.kind,

        -- measures
        interactions.events_count,
        cast(assumeNotNull(kinds.weight) as Float64) as weight,

        -- timestamps
        interactions.first_at,
        interactions.last_at

    from interactions

    inner join kinds on interactions.kind = kinds.kind

)

select * from final
