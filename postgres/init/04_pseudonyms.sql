-- Pseudonyms and their key, in schema pii, which no client can access.
--
-- The key is in no view, function or setting, because everybody who can log in can read those texts.
-- Nothing here refers to the application's tables.
--
-- Run by psql as a superuser after 02_change_capture.sql. Safe to run again with the same key.
\set ON_ERROR_STOP on

-- A failing statement must not put the key into the server's log.
SET log_min_error_statement = 'panic';
SET log_min_duration_statement = -1;
SET log_statement = 'none';

\set pii_key ''
\getenv pii_key DATAFLIX_PII_KEY

BEGIN;

CREATE SCHEMA IF NOT EXISTS pii AUTHORIZATION dataflix_pii;
COMMENT ON SCHEMA pii IS 'Pseudonyms of users and their key. No client can access it.';

SET LOCAL ROLE dataflix_pii;
SET LOCAL search_path = pii;

CREATE TABLE IF NOT EXISTS hmac_key (
    is_only_row boolean PRIMARY KEY DEFAULT true CHECK (is_only_row),
    inner_block bytea NOT NULL CHECK (octet_length(inner_block) = 64),
    outer_block bytea NOT NULL CHECK (octet_length(outer_block) = 64)
);

COMMENT ON TABLE hmac_key IS 'The key of the pseudonyms, in the two padded forms that HMAC (RFC 2104) uses.';
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
            USING HINT = 'run.sh writes a random one to .env; "openssl rand -hex 32" prints one';
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
    user_id bigint PRIMARY KEY,
    username_hash text NOT NULL,
    email_hash text NOT NULL
);

COMMENT ON TABLE user_pseudonyms IS 'What stands for a user''s name and address in the warehouse; a trigger on the table of users writes it.';
COMMENT ON COLUMN user_pseudonyms.user_id IS 'The user.';
COMMENT ON COLUMN user_pseudonyms.username_hash IS 'HMAC-SHA256 of "username:" and the lower-cased username, in hexadecimal.';
COMMENT ON COLUMN user_pseudonyms.email_hash IS 'HMAC-SHA256 of "email:" and the lower-cased address, in hexadecimal.';

-- An erasure searches the warehouse's files for them, so they stay when the user is gone.
CREATE TABLE IF NOT EXISTS former_pseudonyms (
    user_id bigint NOT NULL,
    pseudonym text NOT NULL,
    gone_in xid8 NOT NULL DEFAULT pg_current_xact_id()
);
CREATE INDEX IF NOT EXISTS former_pseudonyms_user_id_idx ON former_pseudonyms (user_id);
-- Whether somebody else has or had one is asked for each pseudonym of each erased user.
CREATE INDEX IF NOT EXISTS former_pseudonyms_pseudonym_idx ON former_pseudonyms (pseudonym);

COMMENT ON TABLE former_pseudonyms IS 'Pseudonyms that a user had before; removed once the erasure of the user is verified.';
COMMENT ON COLUMN former_pseudonyms.user_id IS 'The user.';
COMMENT ON COLUMN former_pseudonyms.pseudonym IS 'A former username_hash or email_hash.';
COMMENT ON COLUMN former_pseudonyms.gone_in IS 'Transaction that replaced or deleted it.';

-- A dump from a cluster with higher transaction ids brings such ones; see 02_change_capture.sql.
UPDATE former_pseudonyms SET gone_in = pg_current_xact_id() WHERE gone_in > pg_current_xact_id();

CREATE OR REPLACE FUNCTION keep_former_pseudonyms() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    INSERT INTO pii.former_pseudonyms (user_id, pseudonym)
    SELECT user_id, username_hash FROM former
    UNION
    SELECT user_id, email_hash FROM former;
    RETURN NULL;
END
$$;

COMMENT ON FUNCTION keep_former_pseudonyms() IS 'Trigger: keeps the pseudonyms that a statement replaced or deleted.';

CREATE OR REPLACE TRIGGER user_pseudonyms_keep_replaced AFTER UPDATE ON user_pseudonyms
REFERENCING OLD TABLE AS former
FOR EACH STATEMENT EXECUTE FUNCTION keep_former_pseudonyms();
CREATE OR REPLACE TRIGGER user_pseudonyms_keep_deleted AFTER DELETE ON user_pseudonyms
REFERENCING OLD TABLE AS former
FOR EACH STATEMENT EXECUTE FUNCTION keep_former_pseudonyms();

CREATE OR REPLACE FUNCTION keep_all_pseudonyms() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    INSERT INTO pii.former_pseudonyms (user_id, pseudonym)
    SELECT user_id, username_hash FROM pii.user_pseudonyms
    UNION
    SELECT user_id, email_hash FROM pii.user_pseudonyms;
    RETURN NULL;
END
$$;

COMMENT ON FUNCTION keep_all_pseudonyms() IS 'Trigger: keeps the pseudonyms that a TRUNCATE is about to remove.';

CREATE OR REPLACE TRIGGER user_pseudonyms_keep_truncated BEFORE TRUNCATE ON user_pseudonyms
FOR EACH STATEMENT EXECUTE FUNCTION keep_all_pseudonyms();

-- Also for a change that a logical subscriber applies (session_replication_role).
ALTER TABLE user_pseudonyms ENABLE ALWAYS TRIGGER user_pseudonyms_keep_replaced;
ALTER TABLE user_pseudonyms ENABLE ALWAYS TRIGGER user_pseudonyms_keep_deleted;
ALTER TABLE user_pseudonyms ENABLE ALWAYS TRIGGER user_pseudonyms_keep_truncated;

CREATE OR REPLACE FUNCTION hmac_sha256(inner_block bytea, outer_block bytea, message text) RETURNS text
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN encode(sha256(outer_block || sha256(inner_block || convert_to(message, 'UTF8'))), 'hex');

COMMENT ON FUNCTION hmac_sha256(bytea, bytea, text) IS
'HMAC-SHA256 (RFC 2104) of the message''s UTF-8 bytes in hexadecimal; the blocks are those of table hmac_key.';

-- Column statistics show values, those of deleted rows too until the next ANALYZE.
ALTER TABLE user_pseudonyms ALTER COLUMN username_hash SET STATISTICS 0, ALTER COLUMN email_hash SET STATISTICS 0;
ALTER TABLE former_pseudonyms ALTER COLUMN pseudonym SET STATISTICS 0;

GRANT USAGE ON SCHEMA pii TO dataflix_masking;
GRANT SELECT ON user_pseudonyms TO dataflix_masking;
GRANT SELECT, DELETE ON former_pseudonyms TO dataflix_masking;

RESET ROLE;
SET LOCAL ROLE dataflix_masking;
SET LOCAL search_path = masked;

-- An older function shows the first letter of shorter names. Tracking that starts again makes the next load replace the
-- whole table, with all earlier versions of its rows. Null, and so skipped, in a new database.
RESET ROLE;
DO $$
BEGIN
    IF pg_get_functiondef(to_regprocedure('masked._masked_name(text)')) !~ 'NFC' THEN
        UPDATE capture.tracked SET tracking_id = gen_random_uuid(), complete_from = pg_current_xact_id()
        WHERE table_name = 'users';
    END IF;
END
$$;
SET LOCAL ROLE dataflix_masking;

-- Counted are the letters of the scripts in which one is one character: Latin, Greek, Cyrillic, Armenian, Hebrew, Arabic,
-- Thai, Georgian, Ethiopic, Kana, Chinese, Hangul. Marks, vowel signs, punctuation, digits and what is invisible are no
-- letters, nor is all of Devanagari, where several characters make a letter. Listed, because classes depend on the locale.
CREATE OR REPLACE FUNCTION _masked_name(name text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN (
    SELECT CASE WHEN char_length(n.letters) >= 3 THEN left(n.letters, 1) ELSE '' END || '***'
    FROM (
        SELECT
            regexp_replace(
                normalize(name, NFC),
                '[^A-Za-z\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u024f\u1e00-\u1eff\u0386\u0388-\u03ff\u0400-\u0481\u048a-\u052f'
                || '\u0531-\u0556\u0561-\u0587\u05d0-\u05ea\u0620-\u063f\u0641-\u064a\u066e\u066f\u0671-\u06d3\u0e01-\u0e2e'
                || '\u10a0-\u10fa\u1200-\u135a\u3041-\u3096\u30a1-\u30fa\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7a3]',
                '', 'g'
            ) AS letters
    ) AS n
);

COMMENT ON FUNCTION _masked_name(text) IS
'First letter and three asterisks; asterisks alone for a name of fewer than three letters, whose first one says too much.';

-- The form of names of places: up to 40 characters in up to 5 words, without digits, and with no signs but those that
-- names of places have; no word that says where in a place. There is no list of all places in all languages.
CREATE OR REPLACE FUNCTION _place(place text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE
    WHEN
        char_length(place) <= 40
        AND place ~ '^[^\u0001-\u001f!-&*+,/-@[-`{-\u00b6\u00b8-\u00bf\u0660-\u0669\u06f0-\u06f9\u0966-\u096f\u2010\u2012-\u2018\u201a-\u206f\u3000-\u3004\uff00-\uff65]+$'
        AND place !~ '([^ ]+ +){5}[^ ]'
        AND place !~* '(^|[ .-])(street|str[.]|road|avenue|lane|square|rue|calle|avenida|strada|ulica|ul[.]|flat|apartment|floor|room|house|near|behind|opposite|mr|mrs|ms|dr)([ .-]|$)'
        AND place !~* ' st[.]?$'
        AND place !~* '[^ -](stra(ss|ß)e|gasse|weg|platz|allee)($|[ -])'
        AND place !~ '[路街號号巷弄室楼樓]'
        THEN place
END;

COMMENT ON FUNCTION _place(text) IS 'The place; null if the text does not have the form of the name of a place.';

CREATE OR REPLACE FUNCTION _decade(year smallint) RETURNS smallint
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN (year / 10 * 10)::smallint;

COMMENT ON FUNCTION _decade(smallint) IS 'First year of the decade.';

GRANT EXECUTE ON FUNCTION _masked_name(text), _place(text), _decade(smallint) TO elt_reader;

COMMIT;
