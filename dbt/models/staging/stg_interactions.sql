with

source as (

    select * from {{ source('raw', 'interactions') }} {{ final() }}

),

renamed as (

    select
        -- ids
        user_id,
        movie_id,
        kind,

        -- measures
        events_count,

        -- opinion
        rating,
        liked as is_liked,

        -- timestamps
        first_at,
        last_at

    from source

    where _is_deleted = 0

)

select * from renamed
