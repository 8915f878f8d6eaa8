{#-
    How charts name a film: the year, since titles alone are not unique, and no
    title longer than an axis has room for.
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
