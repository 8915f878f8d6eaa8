{#-
    What the events of several kinds say together, an aggregate. Each kind adds
    its weight times log2(1 + n) for n events: the first event counts as the
    description of the application says, seven count three times as much (Hu,
    Koren and Volinsky 2008 take such a logarithm for counts with a long tail).
    Kinds for and against a movie can cancel out; what speaks against it decides
    then, because ALS takes 0 for "not seen".
-#}
{% macro kinds_weight(weight, events_count) -%}
    if(
        abs(sum({{ weight }} * log2(1 + {{ events_count }}))) < 1e-6,
        min({{ weight }}),
        sum({{ weight }} * log2(1 + {{ events_count }}))
    )
{%- endmacro %}

{#-
    The weight of a pair of user and movie: that of the opinion or view, and
    that of the other events, if there are any. An opinion against a movie stays
    what it is, whatever else was done; one for it counts at least as much as
    what was done. `rating` is 0 without stars.
-#}
{% macro pair_weight(rating, opinion_weight, kinds_weight) -%}
    multiIf(
        {{ kinds_weight }} is null,
        {{ opinion_weight }},
        {{ rating }} = 0,
        {{ kinds_weight }},
        {{ opinion_weight }} < 0,
        {{ opinion_weight }},
        greatest({{ opinion_weight }}, {{ kinds_weight }})
    )
{%- endmacro %}
