{{ config(engine='MergeTree()', order_by=['user_id', 'movie_id']) }}

-- Sorted by user, because the trainer reads the rows in order into a CSR
-- matrix.

with

events as (

    select * from {{ ref('int_user_movie_events') }}

),

weights as (

    select * from {{ ref('confidence_weights') }}

    where kind = ''

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
        events.kinds_weight,
        events.last_event_at

    from events

),

final as (

    select
        -- ids
        opinions.user_id,
        opinions.movie_id,

        -- measures
        cast(
            assumeNotNull(
                {{
                    pair_weight(
                        'opinions.rating',
                        'weights.weight',
                        'opinions.kinds_weight',
                    )
                }}
            ) as Float32
        ) as weight,

        -- timestamps
        opinions.last_event_at

    from opinions

    inner join weights
        on
            opinions.rating = weights.rating
            and opinions.liked = weights.liked

)

select * from final
