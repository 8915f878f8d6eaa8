with

source as (

    select * from {{ source('raw', 'ratings') }} {{ final() }}

),

renamed as (

    select
        -- ids
        user_id,
        movie_id,

        -- opinion
        rating,
        liked as is_liked,

        -- timestamps
        rated_at,
        updated_at

    from source

    where _is_deleted = 0

)

select * from renamed
