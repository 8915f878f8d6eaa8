{#-
    Fails on a row where the expression is false or NULL. The test may be
    declared on a column: dbt then passes its name, but only the expression
    counts.
-#}
{% test expression_is_true(model, expression, column_name=none) %}

select *

from {{ model }}

where not coalesce({{ expression }}, false)

{% endtest %}
