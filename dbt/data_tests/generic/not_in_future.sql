{#- Fails on a time in the future. Clocks may differ by a minute. -#}
{% test not_in_future(model, column_name) %}

select {{ column_name }}

from {{ model }}

where {{ column_name }} > now64(6, 'UTC') + interval 1 minute

{% endtest %}
