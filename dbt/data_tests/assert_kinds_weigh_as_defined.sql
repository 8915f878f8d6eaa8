-- Events of a kind weigh what confidence_weights says, which serving uses.
-- depends_on: {{ ref('user_item_matrix') }}

with

events as (

    select * from {{ ref('int_user_movie_kinds') }}

),

weights as (

    select * from {{ ref('confidence_weights') }}

    where kind != ''

),

used as (

    select
        kind,
        weight,
        count() as rows_count

    from events

    group by
        kind,
        weight

)

select
    used.kind,
    used.weight as used_weight,
    used.rows_count,
    weights.weight

from used

left join weights on used.kind = weights.kind

where coalesce(used.weight != cast(weights.weight as Nullable(Float64)), true)
