{{ config(engine='MergeTree()', order_by=['user_id']) }}

-- Without pseudonyms, masked names, city and year of birth: no reader of the
-- marts needs them. Region and age band are coarsened until min_group_size()
-- people share what is shown: state, country and age band; else country and age
-- band; else the country; else nothing.

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

banded as (

    select
        user_id,
        created_at,
        cast(nullIf(trimBoth(state), '') as Nullable(String)) as known_state,
        cast(
            nullIf(trimBoth(country), '') as Nullable(String)
        ) as known_country,
        {{ age_band('birth_year') }} as known_age_band

    from users

),

-- Each step counts the people that no step before it could show.
by_state as (

    select
        *,
        count() over (
            partition by known_country, known_state, known_age_band
        ) >= {{ min_group_size() }} as is_shown_by_state

    from banded

),

by_age as (

    select
        *,
        is_shown_by_state
        or count() over (
            partition by is_shown_by_state, known_country, known_age_band
        ) >= {{ min_group_size() }} as is_shown_by_age

    from by_state

),

by_country as (

    select
        *,
        is_shown_by_age
        or count() over (
            partition by is_shown_by_age, known_country
        ) >= {{ min_group_size() }} as is_shown_by_country

    from by_age

),

coarsened as (

    select
        user_id,
        created_at,
        if(is_shown_by_state, known_state, null) as shown_state,
        if(is_shown_by_country, known_country, null) as shown_country,
        if(is_shown_by_age, known_age_band, null) as shown_age_band

    from by_country

),

groups as (

    select
        *,
        count() over (
            partition by shown_country, shown_state, shown_age_band
        ) as group_size

    from coarsened

),

-- Fewer people than that may be left. The smallest group then joins them.
ranked as (

    select
        *,
        countIf(group_size < {{ min_group_size() }}) over () as left_count,
        dense_rank() over (
            order by
                group_size < {{ min_group_size() }} desc,
                group_size,
                shown_country,
                shown_state,
                shown_age_band
        ) as size_rank

    from groups

),

decided as (

    select
        *,
        group_size >= {{ min_group_size() }}
        and (left_count = 0 or size_rank > 2) as is_shown

    from ranked

),

shown as (

    select
        user_id,
        created_at,
        if(is_shown, shown_country, null) as country,
        if(is_shown, shown_state, null) as state,
        if(is_shown, shown_age_band, null) as age_band

    from decided

),

final as (

    select
        -- ids
        shown.user_id,

        -- region and age
        cast(shown.state as LowCardinality(Nullable(String))) as state,
        cast(shown.country as LowCardinality(Nullable(String))) as country,
        cast(shown.age_band as LowCardinality(Nullable(String))) as age_band,

        -- activity
        coalesce(activity.ratings_count, 0) as ratings_count,
        coalesce(activity.watches_count, 0) as watches_count,

        -- timestamps
        activity.last_event_at,
        shown.created_at

    from shown

    left join activity on shown.user_id = activity.user_id

)

select * from final
