{#-
    Fails on a row where the expression is false or NULL. May stand on a column:
    dbt then names it, though the expression itself says which ones it reads.
-#}
{% test expression_is_true(model, expression, column_name=none) %}

select *

from {{ model }}

where not coalesce({{ expression }}, false)

{% endtest %}
