{{ config(engine='MergeTree()', order_by=['user_id']) }}

-- Without pseudonyms and masked names: no reader of the marts needs them.

with

users as (

    select * from {{ ref('stg_users') }}

),

events as (

    select * from {{ ref('int_user_movie_events') }}

),

activity as (

    select
        user_id,
        count(rating) as ratings_count,
        countIf(has_watched) as watches_count,
        max(last_event_at) as last_event_at

    from events

    group by user_id

),

final as (

    select
        -- ids
        users.user_id,

        -- region and age
        cast(users.city as Nullable(String)) as city,
        cast(users.state as LowCardinality(Nullable(String))) as state,
        cast(users.country as LowCardinality(Nullable(String))) as country,
        cast(users.birth_year as Nullable(Int16)) as birth_year,

        -- activity
        coalesce(activity.ratings_count, 0) as ratings_count,
        coalesce(activity.watches_count, 0) as watches_count,

        -- timestamps
        activity.last_event_at,
        users.created_at

    from users

    left join activity on users.user_id = activity.user_id

)

select * from final
