{{ config(engine='MergeTree()', order_by=['table_name', 'finished_at']) }}

-- A table, because dashboards may read only `analytics`, and a view would read
-- the load log in `raw` with their rights.

with

loads as (

    select * from {{ source('pipeline', 'load_audit') }}

),

final as (

    select
        -- ids
        run_id,
        table_name,

        -- counts
        `rows` as rows_count,
        source_rows as source_rows_count,

        -- measures
        dateDiff('millisecond', started_at, finished_at)
        / 1000 as duration_seconds,

        -- booleans
        matches as is_reconciled,
        cast(
            row_number() over (
                partition by table_name
                order by finished_at desc, run_id desc
            ) = 1 as Bool
        ) as is_latest,

        -- timestamps
        min(started_at) over (partition by run_id) as run_started_at,
        started_at,
        finished_at

    from loads

)

select * from final
