-- Example: masked views over a database that is not Dataflix's, here that of a video shop.
--
-- It replaces 03_tables.sql and 05_masked_views.sql. The shop's tables, in schema shop:
--     customer(customer_no bigint, login text, mail text, full_name text, town text, country text, born date,
--              registered timestamptz, changed timestamptz)
--     film(id integer, name text, year integer, director text, minutes integer, category text)
--     rental(customer_no bigint, film_id integer, rented_on timestamptz)
--     review(customer_no bigint, film_id integer, points integer, written_on timestamptz)
--
-- Run by psql as a superuser after 01_roles.sql, 02_change_capture.sql and 04_pseudonyms.sql. Safe to run again.
\set ON_ERROR_STOP on

BEGIN;

-- Pseudonyms of new and changed customers. The prefixes and the folding must be these.
CREATE OR REPLACE FUNCTION pii.keep_customer_pseudonyms() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    INSERT INTO pii.user_pseudonyms (user_id, username_hash, email_hash)
    SELECT
        changed.customer_no,
        pii.hmac_sha256(hmac_key.inner_block, hmac_key.outer_block, 'username:' || lower(changed.login COLLATE "C")),
        pii.hmac_sha256(hmac_key.inner_block, hmac_key.outer_block, 'email:' || lower(changed.mail COLLATE "C"))
    FROM changed
    CROSS JOIN pii.hmac_key
    ON CONFLICT (user_id) DO UPDATE
        SET username_hash = excluded.username_hash, email_hash = excluded.email_hash;
    RETURN NULL;
END
$$;
ALTER FUNCTION pii.keep_customer_pseudonyms() OWNER TO dataflix_pii;
REVOKE ALL ON FUNCTION pii.keep_customer_pseudonyms() FROM PUBLIC;

CREATE OR REPLACE TRIGGER customer_keep_pseudonyms_of_inserted AFTER INSERT ON shop.customer
REFERENCING NEW TABLE AS changed
FOR EACH STATEMENT EXECUTE FUNCTION pii.keep_customer_pseudonyms();
CREATE OR REPLACE TRIGGER customer_keep_pseudonyms_of_updated AFTER UPDATE ON shop.customer
REFERENCING NEW TABLE AS changed
FOR EACH STATEMENT EXECUTE FUNCTION pii.keep_customer_pseudonyms();

-- Also for a change that a logical subscriber applies (session_replication_role).
ALTER TABLE shop.customer ENABLE ALWAYS TRIGGER customer_keep_pseudonyms_of_inserted;
ALTER TABLE shop.customer ENABLE ALWAYS TRIGGER customer_keep_pseudonyms_of_updated;

-- The trigger writes the pseudonyms of existing customers.
UPDATE shop.customer SET customer_no = customer_no;

-- Loads of these are incremental. Those of film, which is small, and of rental, whose view aggregates rows, are full.
-- The second argument is the view's name, the others are the columns of its key.
SELECT
    capture.track('shop.customer', 'users', 'customer_no'),
    capture.track('shop.review', 'ratings', 'customer_no', 'film_id');

CREATE SCHEMA IF NOT EXISTS masked AUTHORIZATION dataflix_masking;
GRANT USAGE ON SCHEMA shop TO dataflix_masking;
GRANT SELECT (customer_no, full_name, country, born, registered, changed, last_xid)
ON shop.customer TO dataflix_masking;
GRANT SELECT ON shop.film, shop.rental, shop.review TO dataflix_masking;

SET LOCAL ROLE dataflix_masking;

CREATE OR REPLACE VIEW masked.users WITH (security_barrier = true) AS
SELECT
    c.customer_no AS user_id,
    p.username_hash,
    p.email_hash,
    masked._masked_name(c.full_name) AS first_name,
    '***' AS last_name,
    -- No reader of the warehouse needs it, and no form tells a town from the name of a person.
    NULL::text AS city,
    NULL::text AS state,
    masked._place(c.country) AS country,
    masked._decade(extract(YEAR FROM c.born)::smallint) AS birth_year,
    c.registered AS created_at,
    c.changed AS updated_at,
    c.last_xid AS _changed_in
FROM shop.customer AS c
LEFT JOIN pii.user_pseudonyms AS p ON c.customer_no = p.user_id;

CREATE OR REPLACE VIEW masked.movies WITH (security_barrier = true) AS
SELECT
    id::bigint AS movie_id,
    name AS title,
    string_to_array(category, ', ') AS genres,
    year::smallint AS release_year,
    director,
    minutes::smallint AS duration_minutes,
    NULL::text AS description,
    NULL::text AS imdb_id,
    NULL::bigint AS tmdb_id,
    make_timestamptz(year, 1, 1, 0, 0, 0, 'UTC') AS created_at,
    make_timestamptz(year, 1, 1, 0, 0, 0, 'UTC') AS updated_at
FROM shop.film;

CREATE OR REPLACE VIEW masked.watched_movies WITH (security_barrier = true) AS
SELECT
    customer_no AS user_id,
    film_id::bigint AS movie_id,
    max(rented_on) AS watched_at,
    max(rented_on) AS updated_at
FROM shop.rental
GROUP BY customer_no, film_id;

-- Ten points become five stars, in half steps.
CREATE OR REPLACE VIEW masked.ratings WITH (security_barrier = true) AS
SELECT
    customer_no AS user_id,
    film_id::bigint AS movie_id,
    (greatest(points, 1) / 2.0)::real AS rating,
    NULL::boolean AS liked,
    written_on AS rated_at,
    written_on AS updated_at,
    last_xid AS _changed_in
FROM shop.review;

-- The shop shows no recommendations of ours yet, so there is no feedback on them: a view of that form, without rows.
CREATE OR REPLACE VIEW masked.feedback WITH (security_barrier = true) AS
SELECT
    ''::text AS recommendation_id,
    0::bigint AS movie_id,
    ''::text AS event,
    NULL::bigint AS user_id,
    0::smallint AS position,
    ''::text AS model_version,
    now() AS listed_at,
    now() AS received_at
WHERE false;

GRANT USAGE ON SCHEMA masked TO elt_reader;
GRANT SELECT ON masked.users, masked.movies, masked.watched_movies, masked.ratings, masked.feedback TO elt_reader;

COMMIT;
