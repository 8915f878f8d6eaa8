{{
    config(
        engine='MergeTree()',
        order_by=['model_version', 'recommendation_id', 'movie_id'],
    )
}}

-- Sorted by version first, because queries ask for versions.

with

feedback as (

    select * from {{ ref('stg_feedback') }}

),

movies as (

    select * from {{ ref('dim_movies') }}

),

users as (

    select * from {{ ref('dim_users') }}

),

final as (

    select
        -- ids
        feedback.recommendation_id,
        feedback.movie_id,
        feedback.user_id,

        -- event
        feedback.event,
        feedback.position,

        -- origin of the list
        feedback.model_version,

        -- timestamps
        feedback.listed_at,
        feedback.received_at

    from feedback

    -- Feedback whose movie or user is not loaded comes with a later run.
    where
        feedback.movie_id in (select movies.movie_id from movies)
        and (
            feedback.user_id is null
            or feedback.user_id in (select users.user_id from users)
        )

)

select * from final
