{#- Ten years of birth, and no age: a band that moves with the calendar shows
    the exact year to readers who compare two years. -#}
{% macro age_band(birth_year) -%}
    concat(
        'born ',
        toString(intDiv({{ birth_year }}, 10) * 10),
        ' to ',
        toString(intDiv({{ birth_year }}, 10) * 10 + 9)
    )
{%- endmacro %}
