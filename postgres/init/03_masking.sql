-- The border of personal data: what the ELT may read, and how it is masked.
--
-- Schema pii keeps the pseudonyms and the key behind them; schema masked holds the views that elt_reader
-- reads. The key is in no view, function or setting: those texts are readable by everybody who can log in.
--
-- Run by psql as a superuser after 02_tables.sql. Safe to run again with the same key.
\set ON_ERROR_STOP on

-- A failing statement must not put the key into the server's log.
SET log_min_error_statement = 'panic';
SET log_min_duration_statement = -1;
SET log_statement = 'none';

\set pii_key ''
\getenv pii_key DATAFLIX_PII_KEY

BEGIN;

CREATE SCHEMA IF NOT EXISTS pii AUTHORIZATION dataflix_pii;
CREATE SCHEMA IF NOT EXISTS masked AUTHORIZATION dataflix_masking;
COMMENT ON SCHEMA pii IS 'Pseudonyms of users and the key they are made with. No client may enter.';
COMMENT ON SCHEMA masked IS 'What leaves this database for the warehouse: one view per table, personal data masked.';

GRANT USAGE ON SCHEMA public TO dataflix_pii, dataflix_masking;
GRANT USAGE ON SCHEMA pii TO dataflix_masking;
GRANT REFERENCES (user_id) ON public.users TO dataflix_pii;
-- The foreign key of the pseudonyms is checked as the owner of users.
GRANT USAGE ON SCHEMA pii TO dataflix_owner;

SET LOCAL ROLE dataflix_pii;
SET LOCAL search_path = pii;

CREATE TABLE IF NOT EXISTS hmac_key (
    is_only_row boolean PRIMARY KEY DEFAULT true CHECK (is_only_row),
    inner_block bytea NOT NULL CHECK (octet_length(inner_block) = 64),
    outer_block bytea NOT NULL CHECK (octet_length(outer_block) = 64)
);

COMMENT ON TABLE hmac_key IS 'The key of the pseudonyms in the two padded forms that HMAC (RFC 2104) hashes with.';
COMMENT ON COLUMN hmac_key.is_only_row IS 'Allows one row.';
COMMENT ON COLUMN hmac_key.inner_block IS 'Key, padded to 64 bytes, XOR 0x36.';
COMMENT ON COLUMN hmac_key.outer_block IS 'Key, padded to 64 bytes, XOR 0x5c.';

-- A NULL test instead of the value, so that psql does not print the key.
SELECT set_config('dataflix.pii_key', :'pii_key', true) IS NOT NULL AS pii_key_read;

DO $$
DECLARE
    key_text CONSTANT text := current_setting('dataflix.pii_key');
    key_block bytea;
    new_inner bytea;
    new_outer bytea;
BEGIN
    IF key_text !~ '^[0-9a-fA-F]{64}$' THEN
        RAISE EXCEPTION 'DATAFLIX_PII_KEY must be 64 hexadecimal digits, but has % characters%',
            length(key_text), CASE key_text WHEN '' THEN ' (it is not set)' ELSE '' END
            USING HINT = 'run.sh writes a random one to .env; "openssl rand -hex 32" makes one';
    END IF;
    key_block := decode(rpad(key_text, 128, '0'), 'hex');
    SELECT
        string_agg(set_byte('\x00'::bytea, 0, get_byte(key_block, i) # 54), ''::bytea ORDER BY i),
        string_agg(set_byte('\x00'::bytea, 0, get_byte(key_block, i) # 92), ''::bytea ORDER BY i)
    INTO new_inner, new_outer
    FROM generate_series(0, 63) AS i;
    INSERT INTO pii.hmac_key (inner_block, outer_block) VALUES (new_inner, new_outer)
    ON CONFLICT (is_only_row) DO NOTHING;
    IF NOT EXISTS (SELECT FROM pii.hmac_key WHERE inner_block = new_inner AND outer_block = new_outer) THEN
        RAISE EXCEPTION 'DATAFLIX_PII_KEY is not the key this database was masked with'
            USING HINT = 'put the old key back into .env; another key would give every user a new pseudonym';
    END IF;
END
$$;

CREATE TABLE IF NOT EXISTS user_pseudonyms (
    user_id bigint PRIMARY KEY REFERENCES public.users (user_id) ON DELETE CASCADE,
    username_hash text NOT NULL,
    email_hash text NOT NULL
);

COMMENT ON TABLE user_pseudonyms IS 'What stands for a user''s name and address in the warehouse; kept by trigger on users.';
COMMENT ON COLUMN user_pseudonyms.user_id IS 'Whose pseudonyms.';
COMMENT ON COLUMN user_pseudonyms.username_hash IS 'HMAC-SHA256 of "username:" and the lower-cased username, in hexadecimal.';
COMMENT ON COLUMN user_pseudonyms.email_hash IS 'HMAC-SHA256 of "email:" and the lower-cased address, in hexadecimal.';

CREATE OR REPLACE FUNCTION hmac_sha256(inner_block bytea, outer_block bytea, message text) RETURNS text
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN encode(sha256(outer_block || sha256(inner_block || convert_to(message, 'UTF8'))), 'hex');

COMMENT ON FUNCTION hmac_sha256(bytea, bytea, text) IS
'HMAC-SHA256 (RFC 2104) of the message''s UTF-8 bytes in hexadecimal; the blocks are those of table hmac_key.';

-- The prefixes keep the two pseudonyms apart: a username that looks like an address must not hash like it.
CREATE OR REPLACE FUNCTION keep_user_pseudonyms() RETURNS trigger
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

COMMENT ON FUNCTION keep_user_pseudonyms() IS 'Trigger: pseudonyms of the rows that a statement inserted or updated.';

RESET ROLE;

CREATE OR REPLACE TRIGGER users_keep_pseudonyms_of_inserted AFTER INSERT ON public.users
REFERENCING NEW TABLE AS changed
FOR EACH STATEMENT EXECUTE FUNCTION pii.keep_user_pseudonyms();
CREATE OR REPLACE TRIGGER users_keep_pseudonyms_of_updated AFTER UPDATE ON public.users
REFERENCING NEW TABLE AS changed
FOR EACH STATEMENT EXECUTE FUNCTION pii.keep_user_pseudonyms();

-- The views' owner itself cannot read names of login or addresses, nor the key.
GRANT SELECT (user_id, first_name, last_name, city, state, country, birth_year, created_at, updated_at)
ON public.users TO dataflix_masking;
GRANT SELECT ON public.movies, public.watched_movies, public.ratings TO dataflix_masking;
GRANT SELECT ON pii.user_pseudonyms TO dataflix_masking;

SET LOCAL ROLE dataflix_masking;
SET LOCAL search_path = masked;

-- LEFT JOIN: a user without pseudonyms shows up as NULL, which the warehouse refuses, rather than not at all.
CREATE OR REPLACE VIEW users WITH (security_barrier = true) AS
SELECT
    u.user_id,
    p.username_hash,
    p.email_hash,
    coalesce(left(ltrim(u.first_name), 1), '') || '***' AS first_name,
    coalesce(left(ltrim(u.last_name), 1), '') || '***' AS last_name,
    u.city,
    u.state,
    u.country,
    u.birth_year,
    u.created_at,
    u.updated_at
FROM public.users AS u
LEFT JOIN pii.user_pseudonyms AS p ON u.user_id = p.user_id;

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
    updated_at
FROM public.movies;

CREATE OR REPLACE VIEW watched_movies WITH (security_barrier = true) AS
SELECT
    user_id,
    movie_id,
    watched_at,
    updated_at
FROM public.watched_movies;

CREATE OR REPLACE VIEW ratings WITH (security_barrier = true) AS
SELECT
    user_id,
    movie_id,
    rating,
    liked,
    rated_at,
    updated_at
FROM public.ratings;

COMMENT ON VIEW users IS 'Users: pseudonyms for username and e-mail, names cut to their first letter.';
COMMENT ON COLUMN users.username_hash IS 'HMAC-SHA256 of the username, 64 hexadecimal digits.';
COMMENT ON COLUMN users.email_hash IS 'HMAC-SHA256 of the e-mail address, 64 hexadecimal digits.';
COMMENT ON COLUMN users.first_name IS 'First letter and three asterisks, whatever the length; asterisks alone when empty.';
COMMENT ON COLUMN users.last_name IS 'First letter and three asterisks, whatever the length; asterisks alone when empty.';
COMMENT ON VIEW movies IS 'The catalogue of films, as it is.';
COMMENT ON VIEW watched_movies IS 'Films watched, as they are.';
COMMENT ON VIEW ratings IS 'Ratings, as they are.';

GRANT USAGE ON SCHEMA masked TO elt_reader;
GRANT SELECT ON masked.users, masked.movies, masked.watched_movies, masked.ratings TO elt_reader;

COMMIT;
