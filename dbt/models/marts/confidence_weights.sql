{{ config(engine='MergeTree()', order_by=['rating', 'liked']) }}

-- A table and not a seed, so that the constants stand in the vars only.

with

ratings as (

    select {{ var('rating_step') }} * number as rating

    from
        numbers(
            cast({{ var('rating_min') }} / {{ var('rating_step') }} as UInt64),
            cast(
                ({{ var('rating_max') }} - {{ var('rating_min') }})
                / {{ var('rating_step') }} + 1 as UInt64
            )
        )

),

thumbs as (

    select arrayJoin(['unknown', 'liked', 'disliked']) as liked

),

opinions as (

    select
        ratings.rating,
        thumbs.liked

    from ratings

    cross join thumbs

    union all

    -- A movie that was watched but not rated.
    select
        0 as rating,
        'unknown' as liked

),

final as (

    select
        cast(opinions.rating as Float32) as rating,
        opinions.liked,
        cast(
            {{ confidence_weight('opinions.rating', 'opinions.liked') }}
            as Float32
        ) as weight

    from opinions

)

select * from final
