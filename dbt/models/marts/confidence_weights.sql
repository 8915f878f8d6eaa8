{{ config(engine='MergeTree()', order_by=['rating', 'liked', 'kind']) }}

-- A table and not a seed, so that the constants stand in the vars only. The
-- weights of the kinds come from the description of the application.

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

kinds as (

    select * from {{ ref('stg_event_kinds') }}

    where weight is not null

),

final as (

    select
        cast(opinions.rating as Float32) as rating,
        opinions.liked,
        '' as kind,
        cast(
            {{ confidence_weight('opinions.rating', 'opinions.liked') }}
            as Float32
        ) as weight

    from opinions

    union all

    select
        cast(0 as Float32) as rating,
        'unknown' as liked,
        kinds.kind,
        assumeNotNull(kinds.weight) as weight

    from kinds

)

select * from final
