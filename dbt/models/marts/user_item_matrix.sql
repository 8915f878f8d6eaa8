{{ config(engine='MergeTree()', order_by=['user_id', 'movie_id']) }}

-- Sorted by user: the trainer reads it in order, straight into a CSR matrix.

with

events as (

    select * from {{ ref('int_user_movie_events') }}

),

weights as (

    select * from {{ ref('confidence_weights') }}

),

verdicts as (

    select
        events.user_id,
        events.movie_id,
        coalesce(events.rating, 0) as rating,
        multiIf(
            events.is_liked is null, 'unknown',
            events.is_liked, 'liked',
            'disliked'
        ) as liked,
        events.last_event_at

    from events

),

final as (

    select
        -- ids
        verdicts.user_id,
        verdicts.movie_id,

        -- measures
        weights.weight,

        -- timestamps
        verdicts.last_event_at

    from verdicts

    inner join weights
        on
            verdicts.rating = weights.rating
            and verdicts.liked = weights.liked

)

select * from final
