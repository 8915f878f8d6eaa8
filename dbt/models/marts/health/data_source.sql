{{ config(engine='MergeTree()', order_by=['source_name']) }}

-- The trainer writes it into each model. Two rows mean that tables of two
-- databases are mixed; a test stops the build then.

with

loads as (

    select * from {{ source('pipeline', 'load_audit') }}

    -- Loads from before December 2026 do not say it.
    where matches and source_name != ''

),

-- The version orders loads, not the clock.
latest as (

    select
        table_name,
        argMax(
            (
                toString(source_name),
                toString(source_system_identifier),
                source_database_oid
            ),
            (version, finished_at)
        ) as identity

    from loads

    group by table_name

),

counted as (

    select
        identity,
        count() as tables_count

    from latest

    group by identity

    union all

    -- Nothing was loaded since: what is there is our own.
    select
        ('dataflix', '', toUInt64(0)) as identity,
        toUInt64(0) as tables_count

    where (select count() from latest) = 0

),

final as (

    select
        tupleElement(identity, 1) as source_name,
        tupleElement(identity, 2) as system_identifier,
        tupleElement(identity, 3) as database_oid,
        tables_count

    from counted

)

select * from final
