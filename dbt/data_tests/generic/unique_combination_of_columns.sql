{#- Fails on a combination of values that more than one row holds. -#}
{% test unique_combination_of_columns(model, columns) %}

select {{ columns | join(', ') }}

from {{ model }}

group by {{ columns | join(', ') }}

having count() > 1

{% endtest %}
