with

source as (

    select * from {{ source('raw', 'watched_movies') }} {{ final() }}

),

renamed as (

    select
        -- ids
        user_id,
        movie_id,

        -- timestamps
        watched_at,
        updated_at

    from source

    where _is_deleted = 0

)

select * from renamed
