-- Every event has one entry in the matrix, with the weight that the definition
-- gives to its verdict and never 0, which ALS would take for "not seen".

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

expected as (

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

)

select
    expected.user_id as expected_user_id,
    expected.movie_id as expected_movie_id,
    expected.weight as expected_weight,
    matrix.user_id,
    matrix.movie_id,
    matrix.weight

from expected

full outer join matrix
    on
        expected.user_id = matrix.user_id
        and expected.movie_id = matrix.movie_id

where
    coalesce(matrix.weight, 0) = 0
    or coalesce(expected.weight, 0) != matrix.weight
    or coalesce(expected.last_event_at != matrix.last_event_at, true)
-- end_of_sql
-- Both sides lie sorted by the key: a merge needs half the memory of a hash.
settings join_algorithm = 'full_sorting_merge'
