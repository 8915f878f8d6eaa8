{#- A film without a genre still counts somewhere: under 'Unclassified'. -#}
{% macro genres_or_unclassified(genres) -%}
    if(empty({{ genres }}), ['Unclassified'], {{ genres }})
{%- endmacro %}
