-- Every event has one entry in the matrix. Its weight is the one that
-- confidence_weights defines, and never 0: ALS takes 0 for "not seen".
-- The test compares the sum of hashes per user, because a join event by event
-- takes more than twice as long. How an event finds its weight is written here
-- a second time on purpose: the test must not share a mistake with the model.

with

events as (

    select * from {{ ref('int_user_movie_events') }}

),

weights as (

    select * from {{ ref('confidence_weights') }}

    where kind = ''

),

matrix as (

    select * from {{ ref('user_item_matrix') }}

),

weighted_events as (

    select
        events.user_id,
        events.movie_id,
        events.last_event_at,
        cast(
            multiIf(
                events.kinds_weight is null
                or (events.rating is not null and weights.weight < 0),
                weights.weight,
                events.rating is null or events.kinds_weight > weights.weight,
                events.kinds_weight,
                weights.weight
            ) as Nullable(Float32)
        ) as weight

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

    from weighted_events

    group by user_id

),

actual as (

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
    actual.user_id,
    actual.entries,
    actual.zeros

from expected

full outer join actual on expected.user_id = actual.user_id

where
    coalesce(actual.zeros, 0) > 0
    or coalesce(expected.entries != actual.entries, true)
    or coalesce(expected.fingerprint != actual.fingerprint, true)
-- end_of_sql
-- Both tables are sorted by user, so ClickHouse aggregates one user at a time
-- and needs almost no memory.
settings optimize_aggregation_in_order = 1
