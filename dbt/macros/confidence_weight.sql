{#-
    The definition of a confidence weight. `rating` is 0 for a movie that was
    only watched; `liked` is 'unknown', 'liked' or 'disliked'. Only the model
    confidence_weights calls this macro; everything else reads that table.
-#}
{% macro confidence_weight(rating, liked) -%}
    multiIf(
        {{ rating }} = 0,
        {{ var('confidence_watched_weight') }},
        {{ liked }} = 'liked',
        greatest({{ rating_weight(rating) }}, 0)
        + {{ var('confidence_liked_bonus') }},
        {{ liked }} = 'disliked',
        least({{ rating_weight(rating) }}, 0)
        - {{ var('confidence_disliked_penalty') }},
        {{ rating_weight(rating) }}
    )
{%- endmacro %}

{#- The weight of the stars without a thumb. -#}
{% macro rating_weight(rating) -%}
    multiIf(
        {{ rating }} > {{ var('confidence_neutral_rating') }},
        {{ var('confidence_positive_base') }}
        + {{ var('confidence_per_star') }} * (
            {{ rating }}
            - {{ var('confidence_neutral_rating') }}
            - {{ var('rating_step') }}
        ),
        {{ rating }} = {{ var('confidence_neutral_rating') }},
        {{ var('confidence_neutral_weight') }},
        {{ var('confidence_per_star') }}
        * ({{ rating }} - {{ var('confidence_neutral_rating') }})
    )
{%- endmacro %}
