-- Another application's database as the source: its ids, what was copied from where, and its events.
--
-- `dataflix-source copy` writes these tables; docs/adr/0012-your-own-database.md gives the reasons. Without a source they
-- stay empty. The views of it for the ELT are at the end.
--
-- Run by psql as a superuser after 11_time_ranges.sql. Safe to run again.
\set ON_ERROR_STOP on

BEGIN;

CREATE SCHEMA IF NOT EXISTS source AUTHORIZATION dataflix_owner;
COMMENT ON SCHEMA source IS 'The application''s database that ours is a copy of: ids and state of the copy.';
GRANT USAGE ON SCHEMA public TO dataflix_copier;

SET LOCAL ROLE dataflix_owner;
SET LOCAL search_path = source;

CREATE TABLE IF NOT EXISTS copies (
    entity text PRIMARY KEY,
    source_name text NOT NULL,
    system_identifier text,
    timeline bigint,
    database_oid bigint NOT NULL,
    database_name text NOT NULL,
    mode text NOT NULL,
    guarantee text NOT NULL,
    installation_id uuid,
    description_hash text NOT NULL,
    read_from xid8 NOT NULL,
    read_at timestamptz NOT NULL,
    compared_at timestamptz NOT NULL,
    rows_count bigint NOT NULL,
    left_out_count bigint NOT NULL
);
ALTER TABLE copies ADD COLUMN IF NOT EXISTS slot_lsn pg_lsn;

COMMENT ON TABLE copies IS 'What was copied from which database, one row for people, for items, and for each table of events.';
COMMENT ON COLUMN copies.entity IS 'people, items, events.0, events.1 and so on, as in the description.';
COMMENT ON COLUMN copies.source_name IS 'The source''s name in the description.';
COMMENT ON COLUMN copies.system_identifier IS 'Of the source''s cluster; null if the source does not say it.';
COMMENT ON COLUMN copies.timeline IS 'Of the source''s cluster; another one after a restore.';
COMMENT ON COLUMN copies.database_oid IS 'Of the source''s database.';
COMMENT ON COLUMN copies.database_name IS 'Of the source''s database.';
COMMENT ON COLUMN copies.mode IS 'How changes are found: triggers, replication, updated_at or compare.';
COMMENT ON COLUMN copies.guarantee IS 'What that mode sees and what it does not, in words.';
COMMENT ON COLUMN copies.installation_id IS 'Of the triggers in the source; others have gaps before them.';
COMMENT ON COLUMN copies.description_hash IS 'Of the part of the description that says what is read.';
COMMENT ON COLUMN copies.read_from IS 'Oldest transaction of the source that was open at the last copy; the next one reads from there on.';
COMMENT ON COLUMN copies.read_at IS 'When that was, by the source''s clock.';
COMMENT ON COLUMN copies.compared_at IS 'When every row was last compared, by the source''s clock.';
COMMENT ON COLUMN copies.rows_count IS 'Rows here that come from this entity.';
COMMENT ON COLUMN copies.left_out_count IS 'Rows of the last comparison whose person or item is not known.';
COMMENT ON COLUMN copies.slot_lsn IS 'Up to where the source''s replication slot was read; one that is further was read by others.';

CREATE TABLE IF NOT EXISTS people (
    source_key text PRIMARY KEY,
    user_id bigint NOT NULL UNIQUE REFERENCES public.users (user_id) ON DELETE CASCADE
);
-- Statistics would show ids of people, and an id may be an address.
ALTER TABLE people ALTER COLUMN source_key SET STATISTICS 0, ALTER COLUMN user_id SET STATISTICS 0;

COMMENT ON TABLE people IS 'Which user a person of the source is.';
COMMENT ON COLUMN people.source_key IS 'The person''s id in the source, as text. Personal.';
COMMENT ON COLUMN people.user_id IS 'The user here.';

CREATE TABLE IF NOT EXISTS items (
    source_key text PRIMARY KEY,
    movie_id bigint NOT NULL UNIQUE REFERENCES public.movies (movie_id) ON DELETE CASCADE,
    attributes jsonb NOT NULL DEFAULT '{}',
    last_xid xid8 NOT NULL DEFAULT pg_current_xact_id()
);

COMMENT ON TABLE items IS 'Which movie an item of the source is.';
COMMENT ON COLUMN items.source_key IS 'The item''s id in the source, as text.';
COMMENT ON COLUMN items.movie_id IS 'The movie here.';
COMMENT ON COLUMN items.attributes IS 'Attributes that table movies has no column for.';

CREATE TABLE IF NOT EXISTS description (
    is_only_row boolean PRIMARY KEY DEFAULT true CHECK (is_only_row),
    item text NOT NULL,
    items text NOT NULL,
    person text NOT NULL,
    people text NOT NULL,
    item_id_type text NOT NULL,
    person_id_type text NOT NULL
);

COMMENT ON TABLE description IS 'What items and people are called, and what ids they have: what the API has to know of it.';
COMMENT ON COLUMN description.is_only_row IS 'Allows one row.';
COMMENT ON COLUMN description.item IS 'The word for one item.';
COMMENT ON COLUMN description.items IS 'The word for several.';
COMMENT ON COLUMN description.person IS 'The word for one person.';
COMMENT ON COLUMN description.people IS 'The word for several.';
COMMENT ON COLUMN description.item_id_type IS 'Type of the items'' ids in the source.';
COMMENT ON COLUMN description.person_id_type IS 'Type of the people''s ids in the source.';

CREATE TABLE IF NOT EXISTS event_kinds (
    kind text PRIMARY KEY,
    entity text NOT NULL,
    weight real,
    last_xid xid8 NOT NULL DEFAULT pg_current_xact_id(),
    CONSTRAINT event_kinds_weight_not_zero CHECK (weight <> 0)
);

COMMENT ON TABLE event_kinds IS 'Kinds of events of the source, as the description has them.';
COMMENT ON COLUMN event_kinds.kind IS 'Key.';
COMMENT ON COLUMN event_kinds.entity IS 'Which table of events it comes from, as in copies.';
COMMENT ON COLUMN event_kinds.weight IS 'How much one event speaks for the item; null for an opinion, whose value weighs.';

CREATE TABLE IF NOT EXISTS last_attempt (
    is_only_row boolean PRIMARY KEY DEFAULT true CHECK (is_only_row),
    ended_at timestamptz NOT NULL,
    problem text,
    failing_since timestamptz,
    CONSTRAINT last_attempt_failing_with_a_problem CHECK ((problem IS NULL) = (failing_since IS NULL))
);

COMMENT ON TABLE last_attempt IS 'How the last copy ended, also if it changed nothing.';
COMMENT ON COLUMN last_attempt.is_only_row IS 'Allows one row.';
COMMENT ON COLUMN last_attempt.ended_at IS 'When it ended.';
COMMENT ON COLUMN last_attempt.problem IS 'Why it failed; null if it did not.';
COMMENT ON COLUMN last_attempt.failing_since IS 'When the first one in a row failed; null if the last one did not.';

SET LOCAL search_path = public;

CREATE TABLE IF NOT EXISTS interactions (
    user_id bigint NOT NULL REFERENCES users (user_id) ON DELETE CASCADE,
    movie_id bigint NOT NULL REFERENCES movies (movie_id) ON DELETE CASCADE,
    kind text NOT NULL,
    events_count bigint NOT NULL,
    first_at timestamptz NOT NULL,
    last_at timestamptz NOT NULL,
    rating real,
    liked boolean,
    last_xid xid8 NOT NULL DEFAULT pg_current_xact_id(),
    PRIMARY KEY (user_id, movie_id, kind),
    CONSTRAINT interactions_events_count_positive CHECK (events_count > 0),
    CONSTRAINT interactions_times_in_order CHECK (first_at <= last_at),
    CONSTRAINT interactions_first_at_range CHECK (first_at >= '1900-01-01 00:00:00+00'),
    CONSTRAINT interactions_last_at_range CHECK (last_at <= '2299-12-31 23:59:59.999999+00'),
    CONSTRAINT interactions_rating_half_steps CHECK (rating BETWEEN 0.5 AND 5 AND rating * 2 = floor(rating * 2))
);
CREATE INDEX IF NOT EXISTS interactions_movie_id_idx ON interactions (movie_id);

COMMENT ON TABLE interactions IS 'Events of the source, one row for each user, movie and kind.';
COMMENT ON COLUMN interactions.user_id IS 'The user.';
COMMENT ON COLUMN interactions.movie_id IS 'The movie.';
COMMENT ON COLUMN interactions.kind IS 'What was done, as in source.event_kinds.';
COMMENT ON COLUMN interactions.events_count IS 'How many events count: all, one a day, or one, as the description says.';
COMMENT ON COLUMN interactions.first_at IS 'When it was done first.';
COMMENT ON COLUMN interactions.last_at IS 'When it was done last.';
COMMENT ON COLUMN interactions.rating IS 'Stars of the last opinion, from 0.5 to 5; null if the kind is no opinion.';
COMMENT ON COLUMN interactions.liked IS 'Thumb of the last opinion; null if it had none.';

-- An installation from before December 2026 collects no statistics of it, because no view showed it.
ALTER TABLE interactions
ALTER COLUMN user_id SET STATISTICS -1,
ALTER COLUMN movie_id SET STATISTICS -1,
ALTER COLUMN kind SET STATISTICS -1,
ALTER COLUMN events_count SET STATISTICS -1,
ALTER COLUMN first_at SET STATISTICS -1,
ALTER COLUMN last_at SET STATISTICS -1,
ALTER COLUMN rating SET STATISTICS -1,
ALTER COLUMN liked SET STATISTICS -1;

SELECT
    capture.track('interactions', 'interactions', 'user_id', 'movie_id', 'kind'),
    capture.track('source.event_kinds', 'event_kinds', 'kind'),
    capture.track('source.items', 'item_attributes', 'movie_id');

COMMENT ON COLUMN interactions.last_xid IS 'Transaction that last wrote the row; kept by trigger.';
COMMENT ON COLUMN source.event_kinds.last_xid IS 'Transaction that last wrote the row; kept by trigger.';
COMMENT ON COLUMN source.items.last_xid IS 'Transaction that last wrote the row; kept by trigger.';

GRANT USAGE ON SCHEMA source TO dataflix_backend;
GRANT SELECT ON source.people, source.items, source.description, source.event_kinds, source.copies TO dataflix_backend;
GRANT SELECT, DELETE ON interactions TO dataflix_backend;
-- What a copy needs and no more: it erases people by the function that the API uses, too.
GRANT USAGE ON SCHEMA source TO dataflix_copier;
GRANT SELECT, INSERT, UPDATE, DELETE ON source.copies, source.description, source.event_kinds, source.last_attempt
TO dataflix_copier;
GRANT SELECT, INSERT ON source.people TO dataflix_copier;
GRANT SELECT, INSERT, UPDATE ON source.items TO dataflix_copier;
GRANT SELECT, INSERT, UPDATE ON users TO dataflix_copier;
GRANT SELECT, INSERT, UPDATE, DELETE ON movies, watched_movies, ratings, interactions TO dataflix_copier;
GRANT USAGE ON SEQUENCE users_user_id_seq, movies_movie_id_seq TO dataflix_copier;
GRANT EXECUTE ON FUNCTION
erase_user(bigint), username_key(text), search_text(text), search_words(text, text), title_words(text)
TO dataflix_copier;
GRANT USAGE ON SCHEMA source TO dataflix_pii;
GRANT TRIGGER ON source.people TO dataflix_pii;

-- The warehouse sees no id of the source: one of an item may name a person, too.
GRANT USAGE ON SCHEMA source TO dataflix_masking;
GRANT SELECT ON interactions TO dataflix_masking;
GRANT SELECT (kind, weight, last_xid) ON source.event_kinds TO dataflix_masking;
GRANT SELECT (movie_id, attributes, last_xid) ON source.items TO dataflix_masking;
GRANT SELECT (source_name, system_identifier, database_oid) ON source.copies TO dataflix_masking;

RESET ROLE;
SET LOCAL ROLE dataflix_pii;
SET LOCAL search_path = pii;

-- Its own key, which is never printed and never rotated: what was hashed with it can't be hashed again.
CREATE TABLE IF NOT EXISTS suppression_key (
    is_only_row boolean PRIMARY KEY DEFAULT true CHECK (is_only_row),
    key_block bytea NOT NULL DEFAULT sha256(
        uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid())
    )
);
INSERT INTO suppression_key DEFAULT VALUES ON CONFLICT DO NOTHING;

COMMENT ON TABLE suppression_key IS 'The key of suppressed_people.';
COMMENT ON COLUMN suppression_key.is_only_row IS 'Allows one row.';
COMMENT ON COLUMN suppression_key.key_block IS 'The key.';

CREATE TABLE IF NOT EXISTS suppressed_people (
    source_hash bytea PRIMARY KEY
);
ALTER TABLE suppressed_people ALTER COLUMN source_hash SET STATISTICS 0;

COMMENT ON TABLE suppressed_people IS 'People who were erased here while they were in the source: they are not copied again.';
COMMENT ON COLUMN suppressed_people.source_hash IS 'Keyed hash of the person''s id in the source.';

CREATE OR REPLACE FUNCTION source_hash(source_key text) RETURNS bytea
LANGUAGE sql STABLE STRICT SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT sha256(k.key_block || sha256(k.key_block || convert_to(source_key, 'UTF8'))) FROM pii.suppression_key AS k;
END;

COMMENT ON FUNCTION source_hash(text) IS 'Keyed hash of an id in the source.';

CREATE OR REPLACE FUNCTION is_suppressed(source_key text) RETURNS boolean
LANGUAGE sql STABLE STRICT SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT EXISTS (SELECT FROM pii.suppressed_people AS s WHERE s.source_hash = pii.source_hash(source_key));
END;

COMMENT ON FUNCTION is_suppressed(text) IS 'Whether a person was erased here.';

CREATE OR REPLACE FUNCTION any_suppressed() RETURNS boolean
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT EXISTS (SELECT FROM pii.suppressed_people);
END;

COMMENT ON FUNCTION any_suppressed() IS 'Whether somebody was erased here.';

-- The copy deletes people because the source did; whoever comes back with their id is somebody else.
CREATE OR REPLACE FUNCTION suppress_person() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF current_setting('dataflix.deleted_in_source', true) IS DISTINCT FROM 'on' THEN
        INSERT INTO pii.suppressed_people (source_hash) VALUES (pii.source_hash(OLD.source_key)) ON CONFLICT DO NOTHING;
    END IF;
    RETURN NULL;
END
$$;

COMMENT ON FUNCTION suppress_person() IS 'Trigger: a person who is erased here is not copied again.';

GRANT USAGE ON SCHEMA pii TO dataflix_copier;
GRANT EXECUTE ON FUNCTION is_suppressed(text), any_suppressed() TO dataflix_copier;
REVOKE ALL ON FUNCTION is_suppressed(text), any_suppressed() FROM dataflix_owner;

CREATE OR REPLACE TRIGGER people_suppress AFTER DELETE ON source.people
FOR EACH ROW EXECUTE FUNCTION pii.suppress_person();

RESET ROLE;
ALTER TABLE source.people ENABLE ALWAYS TRIGGER people_suppress;

SET LOCAL ROLE dataflix_masking;
SET LOCAL search_path = masked;

CREATE OR REPLACE VIEW interactions WITH (security_barrier = true) AS
SELECT
    user_id,
    movie_id,
    kind,
    events_count,
    first_at,
    last_at,
    rating,
    liked,
    last_xid AS _changed_in
FROM public.interactions;

CREATE OR REPLACE VIEW event_kinds WITH (security_barrier = true) AS
SELECT
    kind,
    weight,
    last_xid AS _changed_in
FROM source.event_kinds;

CREATE OR REPLACE VIEW item_attributes WITH (security_barrier = true) AS
SELECT
    movie_id,
    attributes::text AS attributes,
    last_xid AS _changed_in
FROM source.items;

-- One row. The same name for every Postgres of ours, so that a restore on another machine keeps warehouse and models.
CREATE OR REPLACE VIEW _source WITH (security_barrier = true) AS
SELECT
    c.source_name AS name,
    coalesce(c.system_identifier, '') AS system_identifier,
    c.database_oid
FROM source.copies AS c
GROUP BY c.source_name, c.system_identifier, c.database_oid
UNION ALL
SELECT
    'dataflix' AS name,
    '' AS system_identifier,
    0 AS database_oid
WHERE NOT EXISTS (SELECT FROM source.copies);

COMMENT ON VIEW interactions IS 'Events of the source, unchanged.';
COMMENT ON VIEW event_kinds IS 'Kinds of events and their weights.';
COMMENT ON VIEW item_attributes IS 'Attributes of the source''s items, as JSON.';
COMMENT ON VIEW _source IS 'Which database the rows come from: another application''s, or our own if nothing was copied.';

GRANT SELECT ON interactions, event_kinds, item_attributes, _source TO elt_reader;

RESET ROLE;

COMMIT;
