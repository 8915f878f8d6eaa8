{{ config(engine='MergeTree()', order_by=['rank']) }}

-- Sorted by rank, because readers ask for the first ranks.

with

movies as (

    select * from {{ ref('stg_movies') }}

),

events as (

    select * from {{ ref('user_item_matrix') }}

),

-- The newest event counts as now, so that a historic data set has trends too.
-- It is never in the future: one wrong clock would age all other events.
reference as (

    select max(last_event_at) as reference_at

    from events

    where last_event_at <= now64(6, 'UTC')

),

scores as (

    select
        events.movie_id,
        count() as events_count,
        countIf(
            events.last_event_at > subtractDays(
                reference.reference_at, {{ var('trending_half_life_days') }}
            )
        ) as recent_events_count,
        -- Rounded, so that the order of a parallel sum does not decide a rank.
        round(
            sum(
                {{
                    time_decay('events.last_event_at', 'reference.reference_at')
                }}
            ),
            6
        ) as trending_score,
        max(events.last_event_at) as last_event_at

    from events

    cross join reference

    -- A low rating or a thumb down is activity, but no popularity: it counts
    -- nothing, as an opinion that speaks against the movie everywhere else.
    where events.weight > 0

    group by events.movie_id

),

final as (

    select
        -- ids
        scores.movie_id,

        -- attributes of the movie
        movies.title,
        movies.genres,
        movies.release_year,

        -- measures
        scores.trending_score,
        scores.recent_events_count,
        scores.events_count,
        cast(
            row_number() over (
                order by
                    scores.trending_score desc,
                    scores.last_event_at desc,
                    scores.movie_id asc
            ) as UInt32
        ) as rank,

        -- timestamps
        scores.last_event_at

    from scores

    inner join movies on scores.movie_id = movies.movie_id

)

select * from final
