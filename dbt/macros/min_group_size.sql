{#- How many people must share what a mart shows of a person. -#}
{% macro min_group_size() -%}
    5
{%- endmacro %}
