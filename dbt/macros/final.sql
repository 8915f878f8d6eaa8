{#-
    Reads a ReplacingMergeTree as if it were fully merged: one row per key, the
    newest version. It is a macro so that unit tests can override it: dbt
    replaces the table by a subquery there, and ClickHouse refuses FINAL on a
    subquery.
-#}
{% macro final() -%}
    final
{%- endmacro %}
