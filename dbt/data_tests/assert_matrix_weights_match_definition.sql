-- Every event has one entry in the matrix, with the weight that the definition
-- gives to its verdict and never 0, which ALS would take for "not seen". A
-- user's entries are compared by the sum of their hashes: joining event by
-- event takes more than twice as long.

with

events as (

    select * from {{ ref('int_user_movie_events') }}

),

weights as (

    select * from {{ ref('confidence_weights') }}

),

matrix as (

    select * from {{ ref('user_item_matrix') }}

),

weighed as (

    select
        events.user_id,
        events.movie_id,
        events.last_event_at,
        weights.weight

    from events

    left join weights
        on
            coalesce(events.rating, 0) = weights.rating
            and multiIf(
                events.is_liked is null, 'unknown',
                events.is_liked, 'liked',
                'disliked'
            ) = weights.liked

),

expected as (

    select
        user_id,
        count() as entries,
        sum(cityHash64(movie_id, last_event_at, weight)) as fingerprint

    from weighed

    group by user_id

),

found as (

    select
        user_id,
        count() as entries,
        countIf(weight = 0) as zeros,
        sum(cityHash64(movie_id, last_event_at, weight)) as fingerprint

    from matrix

    group by user_id

)

select
    expected.user_id as expected_user_id,
    expected.entries as expected_entries,
    found.user_id,
    found.entries,
    found.zeros

from expected

full outer join found on expected.user_id = found.user_id

where
    coalesce(found.zeros, 0) > 0
    or coalesce(expected.entries != found.entries, true)
    or coalesce(expected.fingerprint != found.fingerprint, true)
-- end_of_sql
-- Both sides lie sorted by user: one group after the other takes no memory.
settings optimize_aggregation_in_order = 1
