{#-
    For on-run-end: inserts one row per data test of this run into
    dbt_test_results. It renders to nothing when the run had no data test, and
    dbt then runs nothing.
-#}
{% macro record_test_results(results) -%}
    {%- set rows = [] -%}
    {%- for result in results if result.node.resource_type == 'test' -%}
        {%- set status = result.status | string -%}
        {%- if status != 'skipped' -%}
            {%- set tested = tested_node(result.node) -%}
            {%- set row = [
                quoted(invocation_id),
                quoted(result.node.name),
                quoted(tested.name),
                quoted(layer_of(tested)),
                quoted(status),
                result.failures or 0,
                result.execution_time or 0,
                quoted(run_started_at.strftime('%Y-%m-%d %H:%M:%S.%f')),
            ] -%}
            {%- do rows.append('(' ~ row | join(', ') ~ ')') -%}
        {%- endif -%}
    {%- endfor -%}
    {%- if rows -%}
        insert into {{ target.schema }}.dbt_test_results (
            invocation_id, test_name, model_name, layer, status,
            failures_count, duration_seconds, executed_at
        ) values {{ rows | join(', ') }}
    {%- endif -%}
{%- endmacro %}

{#- A text literal. dbt and people choose the names: they may have quotes. -#}
{% macro quoted(text) -%}
    '{{ text | replace("\\", "\\\\") | replace("'", "\\'") }}'
{%- endmacro %}

{#- The model or source that a test reads. -#}
{% macro tested_node(test) -%}
    {%- set unique_id = test.attached_node or test.depends_on.nodes[0] -%}
    {{ return(graph.nodes.get(unique_id) or graph.sources[unique_id]) }}
{%- endmacro %}

{#- The folder of a model; sources are the raw layer. -#}
{% macro layer_of(node) -%}
    {{ return('raw' if node.resource_type == 'source' else node.fqn[1]) }}
{%- endmacro %}
