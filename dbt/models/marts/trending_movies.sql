{{ config(engine='MergeTree()', order_by=['rank']) }}

-- Readers ask for the first rows by rank.

with

movies as (

    select * from {{ ref('stg_movies') }}

),

events as (

    select * from {{ ref('int_user_movie_events') }}

),

-- Now is the newest event, so that a historic data set has trends as well. A
-- clock that runs ahead must not age all other events: the future is left out.
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
        -- Rounded, since the order of a parallel sum must not decide a rank.
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

    group by events.movie_id

),

final as (

    select
        -- ids
        scores.movie_id,

        -- description of the film
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
