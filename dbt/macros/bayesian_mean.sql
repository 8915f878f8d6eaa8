{#-
    (strength * prior_mean + ratings_sum) / (strength + ratings_count): a mean
    that starts at the prior and moves to the film's own as ratings come in.
-#}
{% macro bayesian_mean(ratings_sum, ratings_count, prior_mean) -%}
    (
        {{ var('bayesian_prior_strength') }} * {{ prior_mean }} + {{ ratings_sum }}
    ) / (
        {{ var('bayesian_prior_strength') }} + {{ ratings_count }}
    )
{%- endmacro %}
