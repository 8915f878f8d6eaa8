{{ config(materialized='view') }}

-- A view, because dbt writes the results at the end of a run, after the models.

with

test_results as (

    select * from {{ source('quality', 'dbt_test_results') }}

),

loads as (

    select * from {{ ref('pipeline_loads') }}

),

-- The load itself tests the raw layer: it compares each table with the source.
reconciliations as (

    select
        run_id as invocation_id,
        concat(table_name, '_agree_with_the_source') as test_name,
        table_name as model_name,
        'raw' as layer,
        if(is_reconciled, 'pass', 'fail') as status,
        if(
            is_reconciled,
            0,
            greatest(abs(rows_count - source_rows_count), 1)
        ) as failures_count,
        duration_seconds,
        finished_at as executed_at

    from loads

),

results as (

    select * from test_results

    union all

    select * from reconciliations

),

final as (

    select
        -- ids
        invocation_id,
        test_name,
        cast(model_name as LowCardinality(String)) as model_name,
        cast(layer as LowCardinality(String)) as layer,

        -- result
        cast(status as LowCardinality(String)) as status,
        cast(failures_count as UInt64) as failures_count,
        duration_seconds,

        -- booleans
        cast(
            row_number() over (
                partition by test_name
                order by executed_at desc, invocation_id desc
            ) = 1 as Bool
        ) as is_latest,

        -- timestamps
        executed_at

    from results

)

select * from final
