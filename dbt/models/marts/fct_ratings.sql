{{ config(engine='MergeTree()', order_by=['movie_id', 'user_id']) }}

-- Sorted by movie first, because dashboards filter on movies.
-- Depends on its dimensions, so that a rating never appears before its movie:
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

        -- opinion
        assumeNotNull(events.rating) as rating,
        events.is_liked,

        -- timestamps
        assumeNotNull(events.rated_at) as rated_at

    from events

    -- Qualified: the bare name means the output column, which is never NULL.
    where events.rating is not null

)

select * from final
