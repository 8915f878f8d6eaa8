{#-
    Everything lands in the profile's database. A custom schema is ignored on
    purpose: readers are granted one database, and know it by one name.
-#}
{% macro generate_schema_name(custom_schema_name, node) -%}
    {{ target.schema }}
{%- endmacro %}
