with

source as (

    select * from {{ source('raw', 'movies') }} {{ final() }}

),

renamed as (

    select
        -- ids
        movie_id,
        imdb_id,
        tmdb_id,

        -- attributes of the movie
        title,
        arrayDistinct(
            arrayFilter(
                genre -> notEmpty(genre),
                arrayMap(genre -> trimBoth(genre), genres)
            )
        ) as genres,
        release_year,
        director,
        duration_minutes,
        description,

        -- timestamps
        created_at,
        updated_at

    from source

    where _is_deleted = 0

)

select * from renamed
