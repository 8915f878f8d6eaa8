{{ config(engine='MergeTree()', order_by=['movie_id', 'user_id']) }}

-- Sorted by movie first, because dashboards filter on movies.
-- Depends on its dimensions, so that a view never appears before its movie:
-- depends_on: {{ ref('dim_users') }}
-- depends_on: {{ ref('dim_movies') }}

with

events as (

    select * from {{ ref('int_user_movie_events') }}

),

final as (

    select
        -- ids
        events.user_id,
        events.movie_id,

        -- booleans
        cast(events.rating is not null as Bool) as is_rated,

        -- timestamps
        assumeNotNull(events.watched_at) as watched_at

    from events

    where events.has_watched

)

select * from final
