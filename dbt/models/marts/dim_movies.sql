{{ config(engine='MergeTree()', order_by=['movie_id']) }}

with

movies as (

    select * from {{ ref('stg_movies') }}

),

final as (

    select
        -- ids
        movie_id,
        imdb_id,
        tmdb_id,

        -- attributes of the movie
        title,
        genres,
        release_year,
        cast(intDiv(release_year, 10) * 10 as Nullable(Int16))
            as release_decade,
        director,
        duration_minutes,
        description,

        -- timestamps
        created_at,
        updated_at

    from movies

)

select * from final
