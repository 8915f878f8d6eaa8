{#- A movie without a genre counts as 'Unclassified'. -#}
{% macro genres_or_unclassified(genres) -%}
    if(empty({{ genres }}), ['Unclassified'], {{ genres }})
{%- endmacro %}
