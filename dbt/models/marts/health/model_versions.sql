{{ config(materialized='view') }}

-- A view, because the trainer writes these rows after dbt has run.

with

versions as (

    select * from {{ source('registry', 'registry_versions') }}

),

final as (

    select
        -- ids
        model_version,
        airflow_run_id,

        -- decision
        decision,
        decision_reason,
        is_champion,

        -- timestamps
        registered_at,
        promoted_at

    from versions

)

select * from final
