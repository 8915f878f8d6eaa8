{#-
    Puts every model into the profile's database and ignores a custom schema,
    because readers have access to this one database only.
-#}
{% macro generate_schema_name(custom_schema_name, node) -%}
    {{ target.schema }}
{%- endmacro %}
