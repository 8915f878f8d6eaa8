{#- Fails on a text that does not match the regular expression. -#}
{% test matches_pattern(model, column_name, pattern) %}

select {{ column_name }}

from {{ model }}

where not match({{ column_name }}, '{{ pattern }}')

{% endtest %}
