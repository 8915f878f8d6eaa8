{{ config(engine='MergeTree()', order_by=['genre']) }}

with

movies as (

    select * from {{ ref('ratings_aggregated') }}

),

-- A movie counts fully for each of its genres.
movies_by_genre as (

    select
        arrayJoin(if(empty(genres), ['Unclassified'], genres)) as genre,
        events_count,
        ratings_count,
        watches_count,
        mean_rating

    from movies

),

totals as (

    -- Qualified: the bare name inside a sum means the output column.
    select
        movies_by_genre.genre,
        count() as movies_count,
        sum(movies_by_genre.events_count) as events_count,
        sum(movies_by_genre.ratings_count) as ratings_count,
        sum(movies_by_genre.watches_count) as watches_count,
        sum(
            movies_by_genre.mean_rating * movies_by_genre.ratings_count
        ) as ratings_sum

    from movies_by_genre

    group by movies_by_genre.genre

),

final as (

    select
        -- ids
        cast(genre as LowCardinality(String)) as genre,

        -- counts
        movies_count,
        events_count,
        ratings_count,
        watches_count,

        -- measures
        ratings_sum / nullIf(ratings_count, 0) as mean_rating,
        coalesce(
            events_count / nullIf(sum(events_count) over (), 0), 0
        ) as popularity_share,
        cast(
            row_number() over (order by events_count desc, genre asc) as UInt32
        ) as rank

    from totals

)

select * from final
