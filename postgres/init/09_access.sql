-- The API's keys, and the log of what its administrators did.
--
-- Only the SHA-256 of a key is stored. A key is random bits, so it needs no slower hash. The ELT has no access to
-- schema access; nothing of it goes to the warehouse.
--
-- Run by psql as a superuser after 03_tables.sql. Safe to run again.
\set ON_ERROR_STOP on

BEGIN;

CREATE SCHEMA IF NOT EXISTS access AUTHORIZATION dataflix_owner;
COMMENT ON SCHEMA access IS 'Keys of the API and the log of what its administrators did.';

SET LOCAL ROLE dataflix_owner;
SET LOCAL search_path = access;

CREATE TABLE IF NOT EXISTS api_keys (
    key_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text NOT NULL,
    scopes text [] NOT NULL,
    -- The erasure of a user deletes the user's keys.
    user_id bigint REFERENCES public.users (user_id) ON DELETE CASCADE,
    created_at timestamptz NOT NULL DEFAULT now(),
    revoked_at timestamptz,
    CONSTRAINT api_keys_name_key UNIQUE (name),
    CONSTRAINT api_keys_name_form CHECK (name ~ '^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$'),
    CONSTRAINT api_keys_scopes_known CHECK (
        scopes <@ ARRAY['read', 'write', 'admin'] AND cardinality(scopes) > 0
    ),
    CONSTRAINT api_keys_admin_unbound CHECK (user_id IS NULL OR NOT 'admin' = ANY(scopes))
);

CREATE INDEX IF NOT EXISTS api_keys_user_id_idx ON api_keys (user_id);

COMMENT ON TABLE api_keys IS 'Clients of the API; one row per client.';
COMMENT ON COLUMN api_keys.key_id IS 'Key; logs use it to name the client.';
COMMENT ON COLUMN api_keys.name IS 'The client: a program or a team, never a person''s name.';
COMMENT ON COLUMN api_keys.scopes IS 'read, write or admin; admin includes the others.';
COMMENT ON COLUMN api_keys.user_id IS 'The one user whose routes the key opens; null if it is not bound to a user.';
COMMENT ON COLUMN api_keys.created_at IS 'When it was created.';
COMMENT ON COLUMN api_keys.revoked_at IS 'When it was revoked; null while it is valid.';

-- Expired rows stay, so that a retired secret can never pass for a new one.
CREATE TABLE IF NOT EXISTS api_key_secrets (
    secret_hash bytea PRIMARY KEY,
    key_id bigint NOT NULL REFERENCES api_keys (key_id) ON DELETE CASCADE,
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz,
    CONSTRAINT api_key_secrets_sha256 CHECK (octet_length(secret_hash) = 32)
);

CREATE INDEX IF NOT EXISTS api_key_secrets_key_id_idx ON api_key_secrets (key_id);

COMMENT ON TABLE api_key_secrets IS 'What clients send; a rotated key has two that are valid for a while.';
COMMENT ON COLUMN api_key_secrets.secret_hash IS 'SHA-256 of the secret.';
COMMENT ON COLUMN api_key_secrets.key_id IS 'The client.';
COMMENT ON COLUMN api_key_secrets.created_at IS 'When it was created.';
COMMENT ON COLUMN api_key_secrets.expires_at IS 'When it stops to be valid; null for the present one.';

-- No foreign key: entries stay when the key or the target is deleted.
CREATE TABLE IF NOT EXISTS audit_log (
    entry_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    happened_at timestamptz NOT NULL DEFAULT now(),
    key_id bigint,
    action text NOT NULL,
    target text NOT NULL DEFAULT '',
    request_id text NOT NULL DEFAULT '',
    CONSTRAINT audit_log_action_length CHECK (char_length(action) BETWEEN 1 AND 200),
    CONSTRAINT audit_log_target_length CHECK (char_length(target) <= 200),
    CONSTRAINT audit_log_request_id_length CHECK (char_length(request_id) <= 64)
);

-- Installations from before December 2026 wrote the names of keys, which may name a person, and request ids in any form.
UPDATE audit_log SET target = 'key_id=' || coalesce(
    (SELECT k.key_id::text FROM api_keys AS k WHERE 'key=' || k.name = audit_log.target), '?'
)
WHERE target LIKE 'key=%';
UPDATE audit_log SET request_id = ''
WHERE request_id !~ '^([0-9a-f]{32}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12})?$';

COMMENT ON TABLE audit_log IS 'What administrators did or tried, one row before each action; the API can only add rows.';
COMMENT ON COLUMN audit_log.entry_id IS 'Key.';
COMMENT ON COLUMN audit_log.happened_at IS 'When it happened.';
COMMENT ON COLUMN audit_log.key_id IS 'The key that was used; null for the command line on the database.';
COMMENT ON COLUMN audit_log.action IS 'Method and route, as in "DELETE /rules/<rule_id>", or the command.';
COMMENT ON COLUMN audit_log.target IS 'Ids in the path, as in "rule_id=7", or of the key; no personal values.';
COMMENT ON COLUMN audit_log.request_id IS 'The X-Request-ID, always a UUID; the API''s log has the outcome under it.';

GRANT USAGE ON SCHEMA access TO dataflix_backend;
GRANT SELECT, INSERT, UPDATE ON api_keys, api_key_secrets TO dataflix_backend;
GRANT SELECT, INSERT ON audit_log TO dataflix_backend;

COMMIT;
