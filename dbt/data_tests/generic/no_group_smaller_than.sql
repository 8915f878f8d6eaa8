{#- Fails on a group of rows with the same values that is smaller than the size,
    unless the whole table is. -#}
{% test no_group_smaller_than(model, columns, size) %}

select
    {{ columns | join(', ') }},
    count() as group_size

from {{ model }}

group by {{ columns | join(', ') }}

having group_size < {{ size }} and (select count() from {{ model }}) >= {{ size }}

{% endtest %}
