{{ config(materialized='view') }}

-- A view, because the trainer writes these rows after dbt has run.

with

metrics as (

    select * from {{ source('registry', 'registry_metrics') }}

),

versions as (

    select * from {{ source('registry', 'registry_versions') }}

),

final as (

    select
        -- ids
        metrics.model_version,
        metrics.candidate,
        metrics.metric,

        -- measures
        metrics.value,

        -- booleans
        cast(metrics.candidate = 'model' as Bool) as is_model,
        versions.is_champion,

        -- timestamps
        versions.registered_at

    from metrics

    inner join versions on metrics.model_version = versions.model_version

)

select * from final
