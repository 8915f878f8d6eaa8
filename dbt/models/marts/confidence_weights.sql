{{ config(engine='MergeTree()', order_by=['rating', 'liked']) }}

-- A table and not a seed: the vars are the one place where a constant stands.

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

opinions as (

    select arrayJoin(['unknown', 'liked', 'disliked']) as liked

),

verdicts as (

    select
        ratings.rating,
        opinions.liked

    from ratings

    cross join opinions

    union all

    -- A film that was watched and not rated.
    select
        0 as rating,
        'unknown' as liked

),

final as (

    select
        cast(verdicts.rating as Float32) as rating,
        verdicts.liked,
        cast(
            {{ confidence_weight('verdicts.rating', 'verdicts.liked') }}
            as Float32
        ) as weight

    from verdicts

)

select * from final
