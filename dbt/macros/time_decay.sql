{#-
    1 at the reference, 0.5 one half-life before it, 0.25 two before it. An
    event after the reference (from a clock that is ahead) counts 1, not more.
-#}
{% macro time_decay(event_at, reference_at) -%}
    exp2(
        - greatest(dateDiff('second', {{ event_at }}, {{ reference_at }}), 0)
        / (86400 * {{ var('trending_half_life_days') }})
    )
{%- endmacro %}
