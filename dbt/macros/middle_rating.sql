{#- The middle of the scale: the prior mean while there are no ratings. -#}
{% macro middle_rating() -%}
    ({{ var('rating_min') }} + {{ var('rating_max') }}) / 2
{%- endmacro %}
