-- The counts of all movies add up to the number of events.

with

aggregated as (

    select * from {{ ref('ratings_aggregated') }}

),

events as (

    select * from {{ ref('int_user_movie_events') }}

),

totals as (

    select
        sum(events_count) as events_count,
        sum(ratings_count) as ratings_count,
        sum(watches_count) as watches_count

    from aggregated

),

expected as (

    select
        count() as events_count,
        count(rating) as ratings_count,
        countIf(has_watched) as watches_count

    from events

)

select
    totals.events_count,
    totals.ratings_count,
    totals.watches_count,
    expected.events_count as expected_events_count,
    expected.ratings_count as expected_ratings_count,
    expected.watches_count as expected_watches_count

from totals

cross join expected

where
    totals.events_count != expected.events_count
    or totals.ratings_count != expected.ratings_count
    or totals.watches_count != expected.watches_count
