{{ config(engine='MergeTree()', order_by=['movie_id', 'user_id', 'kind']) }}

-- Sorted by movie first, because dashboards filter on movies.
-- Depends on its dimensions, so that an event never appears before its movie:
-- depends_on: {{ ref('dim_users') }}
-- depends_on: {{ ref('dim_movies') }}

with

kinds as (

    select * from {{ ref('int_user_movie_kinds') }}

),

final as (

    select
        -- ids
        user_id,
        movie_id,
        kind,

        -- counts
        events_count,

        -- timestamps
        first_at as first_event_at,
        last_at as last_event_at

    from kinds

)

select * from final
