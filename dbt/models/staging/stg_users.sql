with

source as (

    select * from {{ source('raw', 'users') }} {{ final() }}

),

renamed as (

    select
        -- ids
        user_id,

        -- pseudonyms and masked names
        username_hash,
        email_hash,
        first_name,
        last_name,

        -- region and age
        city,
        state,
        country,
        birth_year,

        -- timestamps
        created_at,
        updated_at

    from source

    where _is_deleted = 0

)

select * from renamed
