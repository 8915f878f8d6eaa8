{{ config(engine='MergeTree()', order_by=['user_id', 'movie_id']) }}

-- Sorted by user, because the trainer reads the rows in order into a CSR
-- matrix.

with

events as (

    select * from {{ ref('int_user_movie_events') }}

),

weights as (

    select * from {{ ref('confidence_weights') }}

),

opinions as (

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
        opinions.user_id,
        opinions.movie_id,

        -- measures
        weights.weight,

        -- timestamps
        opinions.last_event_at

    from opinions

    inner join weights
        on
            opinions.rating = weights.rating
            and opinions.liked = weights.liked

)

select * from final
