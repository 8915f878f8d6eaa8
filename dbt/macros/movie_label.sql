{#- How dashboards name a film: titles alone are not unique. -#}
{% macro movie_label(title, release_year) -%}
    if(
        {{ release_year }} is null,
        {{ title }},
        concat(
            {{ title }}, ' (', toString(assumeNotNull({{ release_year }})), ')'
        )
    )
{%- endmacro %}
