{#- Fails when two relations hold different numbers of rows. -#}
{% test equal_row_count(model, compare_model) %}

select
    model_rows.row_count,
    compared_rows.row_count

from (select count() as row_count from {{ model }}) as model_rows

cross join
    (select count() as row_count from {{ compare_model }}) as compared_rows

where model_rows.row_count != compared_rows.row_count

{% endtest %}
