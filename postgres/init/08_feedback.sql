-- What users did with recommended movies, and the view of it for the ELT.
--
-- Lists are not stored when they are served. A signed recommendation_id says which model made the list and when. That
-- is stored here, so a row is complete without another table.
--
-- Run by psql as a superuser after 05_masked_views.sql. Safe to run again.
\set ON_ERROR_STOP on

BEGIN;

SET LOCAL ROLE dataflix_owner;
SET LOCAL search_path = public;

CREATE TABLE IF NOT EXISTS feedback (
    recommendation_id text NOT NULL,
    movie_id bigint NOT NULL REFERENCES movies (movie_id) ON DELETE CASCADE,
    event text NOT NULL,
    user_id bigint REFERENCES users (user_id) ON DELETE CASCADE,
    position smallint NOT NULL,
    model_version text NOT NULL,
    listed_at timestamptz NOT NULL,
    received_at timestamptz NOT NULL DEFAULT now(),
    last_xid xid8 NOT NULL DEFAULT pg_current_xact_id(),
    -- A repeated request is stored once: a client may retry if it got no answer.
    PRIMARY KEY (recommendation_id, movie_id, event),
    CONSTRAINT feedback_recommendation_id_length CHECK (char_length(recommendation_id) BETWEEN 1 AND 700),
    CONSTRAINT feedback_event_known CHECK (event IN ('shown', 'clicked', 'watched', 'dismissed')),
    CONSTRAINT feedback_position_range CHECK (position BETWEEN 1 AND 100)
);

-- Installations from before December 2026 allow 200 characters. An id now says which movies a list has.
DO $$
BEGIN
    IF EXISTS (
        SELECT FROM pg_constraint
        WHERE
            conrelid = 'feedback'::regclass AND conname = 'feedback_recommendation_id_length'
            AND pg_get_constraintdef(oid) LIKE '%200%'
    ) THEN
        ALTER TABLE feedback DROP CONSTRAINT feedback_recommendation_id_length,
        ADD CONSTRAINT feedback_recommendation_id_length CHECK (char_length(recommendation_id) BETWEEN 1 AND 700);
    END IF;
END
$$;

SELECT capture.track('feedback', 'feedback', 'recommendation_id', 'movie_id', 'event');

CREATE INDEX IF NOT EXISTS feedback_user_id_idx ON feedback (user_id);
CREATE INDEX IF NOT EXISTS feedback_movie_id_idx ON feedback (movie_id);

COMMENT ON TABLE feedback IS 'What was done with a recommended movie; one row per list, movie and event. Rows never change.';
COMMENT ON COLUMN feedback.recommendation_id IS 'The list, by its id.';
COMMENT ON COLUMN feedback.movie_id IS 'The movie.';
COMMENT ON COLUMN feedback.event IS 'shown, clicked, watched or dismissed.';
COMMENT ON COLUMN feedback.user_id IS 'The user who got the list; null for an anonymous session.';
COMMENT ON COLUMN feedback.position IS 'The movie''s rank in the list, from 1.';
COMMENT ON COLUMN feedback.model_version IS 'The model that made the list, according to its id; empty if there was none and popularity was the fallback.';
COMMENT ON COLUMN feedback.listed_at IS 'When the list was made, according to its id.';
COMMENT ON COLUMN feedback.received_at IS 'When the API received it.';
COMMENT ON COLUMN feedback.last_xid IS 'Transaction that last wrote the row; kept by trigger.';

-- Rows never change, so there is no UPDATE. The deletion of a user or a movie deletes its rows.
GRANT SELECT, INSERT, DELETE ON feedback TO dataflix_backend;
GRANT SELECT ON feedback TO dataflix_masking;

RESET ROLE;
SET LOCAL ROLE dataflix_masking;
SET LOCAL search_path = masked;

CREATE OR REPLACE VIEW feedback WITH (security_barrier = true) AS
SELECT
    recommendation_id,
    movie_id,
    event,
    user_id,
    position,
    model_version,
    listed_at,
    received_at,
    last_xid AS _changed_in
FROM public.feedback;

COMMENT ON VIEW feedback IS 'Feedback on recommendations, unchanged.';

GRANT SELECT ON masked.feedback TO elt_reader;

COMMIT;
