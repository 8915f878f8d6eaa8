-- Tables of two databases must not be mixed: their ids mean other people.
-- `elt load --accept-source` loads all tables from one.

with

counted as (

    select
        count() as sources_count,
        groupArray(source_name) as source_names

    from {{ ref('data_source') }}

)

select
    sources_count,
    source_names

from counted

where sources_count != 1
