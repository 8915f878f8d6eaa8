{#- The middle of the scale: what to assume before anyone has rated. -#}
{% macro middle_rating() -%}
    ({{ var('rating_min') }} + {{ var('rating_max') }}) / 2
{%- endmacro %}
