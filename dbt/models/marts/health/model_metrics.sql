{{ config(materialized='view') }}

-- A view: the trainer writes after dbt has run, and its rows show at once.

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
