-- The boundary of personal data: what the ELT, the role elt_reader, sees of the application's tables.
--
-- Only this file connects the warehouse to these tables; README.md says how to write one for other tables.
--
-- Run by psql as a superuser after 03_tables.sql and 04_pseudonyms.sql. Safe to run again.
\set ON_ERROR_STOP on

BEGIN;

GRANT USAGE ON SCHEMA public TO dataflix_pii, dataflix_masking;
-- Postgres checks the foreign key of the pseudonyms as the owner of users.
GRANT USAGE ON SCHEMA pii TO dataflix_owner;
GRANT REFERENCES (user_id) ON public.users TO dataflix_pii;

SET LOCAL ROLE dataflix_pii;

DO $$
BEGIN
    IF NOT EXISTS (
        SELECT FROM pg_constraint WHERE conrelid = 'pii.user_pseudonyms'::regclass AND contype = 'f'
    ) THEN
        ALTER TABLE pii.user_pseudonyms ADD CONSTRAINT user_pseudonyms_user_id_fkey
        FOREIGN KEY (user_id) REFERENCES public.users (user_id) ON DELETE CASCADE;
    END IF;
END
$$;

-- The prefixes keep the two pseudonyms apart: a username that equals an address must not get the same hash.
CREATE OR REPLACE FUNCTION pii.keep_user_pseudonyms() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    INSERT INTO pii.user_pseudonyms AS kept (user_id, username_hash, email_hash)
    SELECT
        changed.user_id,
        pii.hmac_sha256(hmac_key.inner_block, hmac_key.outer_block, 'username:' || lower(changed.username COLLATE "C")),
        pii.hmac_sha256(hmac_key.inner_block, hmac_key.outer_block, 'email:' || lower(changed.email COLLATE "C"))
    FROM changed
    CROSS JOIN pii.hmac_key
    ON CONFLICT (user_id) DO UPDATE
        SET username_hash = excluded.username_hash, email_hash = excluded.email_hash
        WHERE (kept.username_hash, kept.email_hash) IS DISTINCT FROM (excluded.username_hash, excluded.email_hash);
    RETURN NULL;
END
$$;

COMMENT ON FUNCTION pii.keep_user_pseudonyms() IS 'Trigger: pseudonyms of the rows that a statement inserted or updated.';

-- The foreign key deletes them, but not for a delete that a logical subscriber applies.
CREATE OR REPLACE FUNCTION pii.delete_user_pseudonyms() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    DELETE FROM pii.user_pseudonyms WHERE user_id IN (SELECT gone.user_id FROM gone);
    RETURN NULL;
END
$$;

COMMENT ON FUNCTION pii.delete_user_pseudonyms() IS 'Trigger: deletes the pseudonyms of the users that a statement deleted.';

RESET ROLE;

-- Whether they have fired at every change so far; used below.
SELECT count(*) = 2 AS triggers_were_on
FROM pg_trigger
WHERE
    tgrelid = 'public.users'::regclass AND tgenabled = 'A'
    AND tgname IN ('users_keep_pseudonyms_of_inserted', 'users_keep_pseudonyms_of_updated')
\gset

CREATE OR REPLACE TRIGGER users_keep_pseudonyms_of_inserted AFTER INSERT ON public.users
REFERENCING NEW TABLE AS changed
FOR EACH STATEMENT EXECUTE FUNCTION pii.keep_user_pseudonyms();
CREATE OR REPLACE TRIGGER users_keep_pseudonyms_of_updated AFTER UPDATE ON public.users
REFERENCING NEW TABLE AS changed
FOR EACH STATEMENT EXECUTE FUNCTION pii.keep_user_pseudonyms();

CREATE OR REPLACE TRIGGER users_delete_pseudonyms AFTER DELETE ON public.users
REFERENCING OLD TABLE AS gone
FOR EACH STATEMENT EXECUTE FUNCTION pii.delete_user_pseudonyms();

-- Also for a change that a logical subscriber applies (session_replication_role): otherwise the warehouse would keep
-- the pseudonym of an address that has changed.
ALTER TABLE public.users ENABLE ALWAYS TRIGGER users_keep_pseudonyms_of_inserted;
ALTER TABLE public.users ENABLE ALWAYS TRIGGER users_keep_pseudonyms_of_updated;
ALTER TABLE public.users ENABLE ALWAYS TRIGGER users_delete_pseudonyms;

-- They were missing, switched off (ALTER TABLE ... DISABLE TRIGGER), or silent in sessions that replicate. Nobody knows
-- what changed meanwhile, so all pseudonyms are computed again.
\if :triggers_were_on
\else
UPDATE public.users SET user_id = user_id;
\endif

CREATE SCHEMA IF NOT EXISTS masked AUTHORIZATION dataflix_masking;
COMMENT ON SCHEMA masked IS 'What leaves this database for the warehouse: one view per table, with personal data masked.';

-- Even the owner of the views cannot read usernames, addresses, cities or the key.
GRANT SELECT (user_id, first_name, last_name, state, country, birth_year, created_at, updated_at, last_xid)
ON public.users TO dataflix_masking;
GRANT SELECT ON public.movies, public.watched_movies, public.ratings TO dataflix_masking;

-- An older view shows short names, cities, every text as a place, and years of birth. Tracking that starts again makes
-- the next load replace the whole table, with all earlier versions of its rows.
DO $$
BEGIN
    -- Null, and so skipped, in a new database.
    IF pg_get_viewdef(to_regclass('masked.users')) !~ '_decade' THEN
        UPDATE capture.tracked SET tracking_id = gen_random_uuid(), complete_from = pg_current_xact_id()
        WHERE table_name = 'users';
    END IF;
END
$$;

SET LOCAL ROLE dataflix_masking;
SET LOCAL search_path = masked;

-- LEFT JOIN: for a user without pseudonyms the warehouse refuses the NULL; otherwise the user would just be missing.
CREATE OR REPLACE VIEW users WITH (security_barrier = true) AS
SELECT
    u.user_id,
    p.username_hash,
    p.email_hash,
    masked._masked_name(u.first_name) AS first_name,
    masked._masked_name(u.last_name) AS last_name,
    -- It stays here: no reader needs it, and no form tells a city from the name of a person.
    NULL::text AS city,
    masked._place(u.state) AS state,
    masked._place(u.country) AS country,
    masked._decade(u.birth_year) AS birth_year,
    u.created_at,
    u.updated_at,
    u.last_xid AS _changed_in
FROM public.users AS u
LEFT JOIN pii.user_pseudonyms AS p ON u.user_id = p.user_id;

-- An older view read it.
RESET ROLE;
REVOKE SELECT (city) ON public.users FROM dataflix_masking;
SET LOCAL ROLE dataflix_masking;

CREATE OR REPLACE VIEW movies WITH (security_barrier = true) AS
SELECT
    movie_id,
    title,
    genres,
    release_year,
    director,
    duration_minutes,
    description,
    imdb_id,
    tmdb_id,
    created_at,
    updated_at,
    last_xid AS _changed_in
FROM public.movies;

CREATE OR REPLACE VIEW watched_movies WITH (security_barrier = true) AS
SELECT
    user_id,
    movie_id,
    watched_at,
    updated_at,
    last_xid AS _changed_in
FROM public.watched_movies;

CREATE OR REPLACE VIEW ratings WITH (security_barrier = true) AS
SELECT
    user_id,
    movie_id,
    rating,
    liked,
    rated_at,
    updated_at,
    last_xid AS _changed_in
FROM public.ratings;

COMMENT ON VIEW users IS 'Users: pseudonyms for username and e-mail, names cut to their first letter, and texts that are no places left out.';
COMMENT ON COLUMN users.city IS 'Always null: cities stay in Postgres.';
COMMENT ON COLUMN users.birth_year IS 'First year of the decade of birth.';
COMMENT ON COLUMN users.username_hash IS 'HMAC-SHA256 of the username, 64 hexadecimal digits.';
COMMENT ON COLUMN users.email_hash IS 'HMAC-SHA256 of the e-mail address, 64 hexadecimal digits.';
COMMENT ON COLUMN users.first_name IS 'First letter and three asterisks; asterisks alone for fewer than three letters.';
COMMENT ON COLUMN users.last_name IS 'First letter and three asterisks; asterisks alone for fewer than three letters.';
COMMENT ON VIEW movies IS 'The catalogue of movies, unchanged.';
COMMENT ON VIEW watched_movies IS 'Watched movies, unchanged.';
COMMENT ON VIEW ratings IS 'Ratings, unchanged.';

GRANT USAGE ON SCHEMA masked TO elt_reader;
GRANT SELECT ON masked.users, masked.movies, masked.watched_movies, masked.ratings TO elt_reader;

COMMIT;
