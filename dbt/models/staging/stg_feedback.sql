with

source as (

    select * from {{ source('raw', 'feedback') }} {{ final() }}

),

renamed as (

    select
        -- ids
        recommendation_id,
        movie_id,
        user_id,

        -- event
        event,
        position,

        -- origin of the list
        model_version,

        -- timestamps
        listed_at,
        received_at

    from source

    where _is_deleted = 0

)

select * from renamed
