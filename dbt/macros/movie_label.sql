{#-
    The label of a movie in charts. It has the year, because titles are not
    unique, and cuts a title that is too long for an axis.
-#}
{% macro movie_label(title, release_year) -%}
    concat(
        if(
            lengthUTF8({{ title }}) > 40,
            concat(trimRight(substringUTF8({{ title }}, 1, 39)), '…'),
            {{ title }}
        ),
        if(
            {{ release_year }} is null,
            '',
            concat(' (', toString(assumeNotNull({{ release_year }})), ')')
        )
    )
{%- endmacro %}
