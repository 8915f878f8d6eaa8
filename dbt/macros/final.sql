{#-
    Reads a ReplacingMergeTree as if it were fully merged: one row per key, the
    newest version. A macro, because dbt's unit tests put a subquery where the
    table stands, and ClickHouse refuses FINAL on a subquery: they override it.
-#}
{% macro final() -%}
    final
{%- endmacro %}
