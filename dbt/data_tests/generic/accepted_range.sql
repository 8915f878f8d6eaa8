{#- Fails on a value outside the bounds, and on NaN. NULL passes. -#}
{% test accepted_range(model, column_name, min_value, max_value) %}

select {{ column_name }}

from {{ model }}

where not ({{ column_name }} between {{ min_value }} and {{ max_value }})

{% endtest %}
