with

source as (

    select * from {{ source('raw', 'item_attributes') }} {{ final() }}

),

renamed as (

    select
        -- ids
        movie_id,

        -- attributes of the item
        attributes

    from source

    where _is_deleted = 0

)

select * from renamed
