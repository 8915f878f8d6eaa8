-- One table per masked view of the application's database. Rows are only ever added: a newer
-- _version replaces the row of the same key, and _is_deleted = 1 removes it, when the table is read with FINAL.
-- The sort key is the source's immutable key, so a changed row always lands on its older self.

CREATE TABLE IF NOT EXISTS raw.users
(
    user_id Int64,
    username_hash String,
    email_hash String,
    first_name String,
    last_name String,
    city Nullable(String),
    state Nullable(String),
    country Nullable(String),
    birth_year Nullable(Int16),
    created_at DateTime64(6, 'UTC'),
    updated_at DateTime64(6, 'UTC'),
    _version UInt64,
    _is_deleted UInt8,
    _extracted_at DateTime64(6, 'UTC'),
    _run_id LowCardinality(String)
)
ENGINE = ReplacingMergeTree(_version, _is_deleted)
ORDER BY user_id;

CREATE TABLE IF NOT EXISTS raw.movies
(
    movie_id Int64,
    title String,
    genres Array(String),
    release_year Nullable(Int16),
    director Nullable(String),
    duration_minutes Nullable(Int16),
    description Nullable(String),
    imdb_id Nullable(String),
    tmdb_id Nullable(Int64),
    created_at DateTime64(6, 'UTC'),
    updated_at DateTime64(6, 'UTC'),
    _version UInt64,
    _is_deleted UInt8,
    _extracted_at DateTime64(6, 'UTC'),
    _run_id LowCardinality(String)
)
ENGINE = ReplacingMergeTree(_version, _is_deleted)
ORDER BY movie_id;

CREATE TABLE IF NOT EXISTS raw.watched_movies
(
    user_id Int64,
    movie_id Int64,
    watched_at DateTime64(6, 'UTC'),
    updated_at DateTime64(6, 'UTC'),
    _version UInt64,
    _is_deleted UInt8,
    _extracted_at DateTime64(6, 'UTC'),
    _run_id LowCardinality(String)
)
ENGINE = ReplacingMergeTree(_version, _is_deleted)
ORDER BY (user_id, movie_id);

CREATE TABLE IF NOT EXISTS raw.ratings
(
    user_id Int64,
    movie_id Int64,
    rating Float32,
    liked Nullable(Bool),
    rated_at DateTime64(6, 'UTC'),
    updated_at DateTime64(6, 'UTC'),
    _version UInt64,
    _is_deleted UInt8,
    _extracted_at DateTime64(6, 'UTC'),
    _run_id LowCardinality(String)
)
ENGINE = ReplacingMergeTree(_version, _is_deleted)
ORDER BY (user_id, movie_id);

-- One row per reconciliation of a loaded table with its source.
CREATE TABLE IF NOT EXISTS raw.load_audit
(
    run_id String,
    table_name LowCardinality(String),
    rows UInt64,
    distinct_keys UInt64,
    checksum String,
    source_rows UInt64,
    source_distinct_keys UInt64,
    source_checksum String,
    matches Bool,
    started_at DateTime64(6, 'UTC'),
    finished_at DateTime64(6, 'UTC')
)
ENGINE = MergeTree
ORDER BY (table_name, finished_at, run_id);
