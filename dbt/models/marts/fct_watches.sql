{{ config(engine='MergeTree()', order_by=['movie_id', 'user_id']) }}

-- Dashboards filter on films, which the key's first column finds at once.
-- Built after its dimensions, so that a view never shows before its film:
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
