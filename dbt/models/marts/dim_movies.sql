{{ config(engine='MergeTree()', order_by=['movie_id']) }}

with

movies as (

    select * from {{ ref('stg_movies') }}

),

item_attributes as (

    select * from {{ ref('stg_item_attributes') }}

),

final as (

    select
        -- ids
        movies.movie_id,
        movies.imdb_id,
        movies.tmdb_id,

        -- attributes of the movie
        movies.title,
        movies.genres,
        movies.release_year,
        cast(intDiv(movies.release_year, 10) * 10 as Nullable(Int16))
            as release_decade,
        movies.director,
        movies.duration_minutes,
        movies.description,
        -- An unmatched row of the join has no attributes or an empty text.
        coalesce(nullIf(item_attributes.attributes, ''), '{}') as attributes,

        -- timestamps
        movies.created_at,
        movies.updated_at

    from movies

    left join item_attributes
        on movies.movie_id = item_attributes.movie_id

)

select * from final
