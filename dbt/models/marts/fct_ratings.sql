{{ config(engine='MergeTree()', order_by=['movie_id', 'user_id']) }}

-- Dashboards filter on films, which the key's first column finds at once.
-- Built after its dimensions, so that a rating never shows before its film:
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

        -- verdict
        assumeNotNull(events.rating) as rating,
        events.is_liked,

        -- timestamps
        assumeNotNull(events.rated_at) as rated_at

    from events

    -- Qualified: a bare name would mean the column made above, never NULL.
    where events.rating is not null

)

select * from final
