{#-
    Fails when a fact table does not have exactly as many rows as there are
    staged events with a loaded user and a loaded movie.
-#}
{% test holds_every_known_event(model, staged_events, users, movies) %}

with

facts as (

    select count() as row_count from {{ model }}

),

known_events as (

    select count() as row_count

    from {{ staged_events }}

    where
        user_id in (select users.user_id from {{ users }} as users)
        and movie_id in (select movies.movie_id from {{ movies }} as movies)

)

select
    facts.row_count as fact_rows,
    known_events.row_count as known_event_rows

from facts

cross join known_events

where facts.row_count != known_events.row_count

{% endtest %}
