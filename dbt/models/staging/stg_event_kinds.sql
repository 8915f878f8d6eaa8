with

source as (

    select * from {{ source('raw', 'event_kinds') }} {{ final() }}

),

renamed as (

    select
        -- ids
        kind,

        -- measures
        weight

    from source

    where _is_deleted = 0

)

select * from renamed
