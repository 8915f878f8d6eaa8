{#-
    (strength * prior_mean + ratings_sum) / (strength + ratings_count): the mean
    starts at the prior and moves to the movie's own mean as ratings come in.
-#}
{% macro bayesian_mean(ratings_sum, ratings_count, prior_mean) -%}
    (
        {{ var('bayesian_prior_strength') }} * {{ prior_mean }} + {{ ratings_sum }}
    ) / (
        {{ var('bayesian_prior_strength') }} + {{ ratings_count }}
    )
{%- endmacro %}
