-- One table per masked view of the application's database. Loads only add rows: a row with a newer _version replaces
-- the row of the same key, and _is_deleted = 1 removes it, if the table is read with FINAL. The sort key is the
-- source's immutable key, so a changed row always meets its older version. There are no partitions: a row whose
-- partition changed would stay in the old one, too. _changed_in is the source's transaction that wrote the row; 0 if
-- the source captures no changes. Inserts are synced, so rows are on the disk before the cursor that relies on them.
--
-- airflow/src/dataflix_elt/tables.py defines the columns. A test holds these tables to it.

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
    _changed_in UInt64,
    _version UInt64,
    _is_deleted UInt8,
    _extracted_at DateTime64(6, 'UTC'),
    _run_id LowCardinality(String)
)
ENGINE = ReplacingMergeTree(_version, _is_deleted)
ORDER BY user_id
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1;

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
    _changed_in UInt64,
    _version UInt64,
    _is_deleted UInt8,
    _extracted_at DateTime64(6, 'UTC'),
    _run_id LowCardinality(String)
)
ENGINE = ReplacingMergeTree(_version, _is_deleted)
ORDER BY movie_id
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1;

CREATE TABLE IF NOT EXISTS raw.watched_movies
(
    user_id Int64,
    movie_id Int64,
    watched_at DateTime64(6, 'UTC'),
    updated_at DateTime64(6, 'UTC'),
    _changed_in UInt64,
    _version UInt64,
    _is_deleted UInt8,
    _extracted_at DateTime64(6, 'UTC'),
    _run_id LowCardinality(String)
)
ENGINE = ReplacingMergeTree(_version, _is_deleted)
ORDER BY (user_id, movie_id)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1;

CREATE TABLE IF NOT EXISTS raw.ratings
(
    user_id Int64,
    movie_id Int64,
    rating Float32,
    liked Nullable(Bool),
    rated_at DateTime64(6, 'UTC'),
    updated_at DateTime64(6, 'UTC'),
    _changed_in UInt64,
    _version UInt64,
    _is_deleted UInt8,
    _extracted_at DateTime64(6, 'UTC'),
    _run_id LowCardinality(String)
)
ENGINE = ReplacingMergeTree(_version, _is_deleted)
ORDER BY (user_id, movie_id)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1;

-- What people did in another application, whose Postgres ours copies: one row for each user, movie and kind.
CREATE TABLE IF NOT EXISTS raw.interactions
(
    user_id Int64,
    movie_id Int64,
    kind String,
    events_count Int64,
    first_at DateTime64(6, 'UTC'),
    last_at DateTime64(6, 'UTC'),
    rating Nullable(Float32),
    liked Nullable(Bool),
    _changed_in UInt64,
    _version UInt64,
    _is_deleted UInt8,
    _extracted_at DateTime64(6, 'UTC'),
    _run_id LowCardinality(String)
)
ENGINE = ReplacingMergeTree(_version, _is_deleted)
ORDER BY (user_id, movie_id, kind)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1;

CREATE TABLE IF NOT EXISTS raw.event_kinds
(
    kind String,
    weight Nullable(Float32),
    _changed_in UInt64,
    _version UInt64,
    _is_deleted UInt8,
    _extracted_at DateTime64(6, 'UTC'),
    _run_id LowCardinality(String)
)
ENGINE = ReplacingMergeTree(_version, _is_deleted)
ORDER BY kind
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1;

CREATE TABLE IF NOT EXISTS raw.item_attributes
(
    movie_id Int64,
    attributes String,
    _changed_in UInt64,
    _version UInt64,
    _is_deleted UInt8,
    _extracted_at DateTime64(6, 'UTC'),
    _run_id LowCardinality(String)
)
ENGINE = ReplacingMergeTree(_version, _is_deleted)
ORDER BY movie_id
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1;

-- One row per load of a table and its comparison with the source. `kind` is full or incremental; rows from before
-- December 2026 have whole or changes. If `compared` is content, the checksums cover all columns of all rows; if it is
-- keys, they cover each row's key and _changed_in. The columns source_… say which database the rows come from: another
-- application's, or `dataflix` for our own; the last two say in which Postgres of ours they were read. Rows from before
-- December 2026 do not say it.
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
    finished_at DateTime64(6, 'UTC'),
    kind LowCardinality(String) DEFAULT 'full',
    compared LowCardinality(String) DEFAULT 'content',
    rows_written UInt64 DEFAULT 0,
    rows_deleted UInt64 DEFAULT 0,
    version UInt64 DEFAULT 0,
    source_name LowCardinality(String) DEFAULT '',
    source_system_identifier LowCardinality(String) DEFAULT '',
    source_database_oid UInt64 DEFAULT 0,
    system_identifier LowCardinality(String) DEFAULT '',
    database_oid UInt64 DEFAULT 0
)
ENGINE = MergeTree
ORDER BY (table_name, finished_at, run_id);

-- An older warehouse has no incremental loads and lacks these columns.
ALTER TABLE raw.load_audit
    ADD COLUMN IF NOT EXISTS kind LowCardinality(String) DEFAULT 'full',
    ADD COLUMN IF NOT EXISTS compared LowCardinality(String) DEFAULT 'content',
    ADD COLUMN IF NOT EXISTS rows_written UInt64 DEFAULT 0,
    ADD COLUMN IF NOT EXISTS rows_deleted UInt64 DEFAULT 0,
    ADD COLUMN IF NOT EXISTS version UInt64 DEFAULT 0,
    ADD COLUMN IF NOT EXISTS source_name LowCardinality(String) DEFAULT '',
    ADD COLUMN IF NOT EXISTS source_system_identifier LowCardinality(String) DEFAULT '',
    ADD COLUMN IF NOT EXISTS source_database_oid UInt64 DEFAULT 0,
    ADD COLUMN IF NOT EXISTS system_identifier LowCardinality(String) DEFAULT '',
    ADD COLUMN IF NOT EXISTS database_oid UInt64 DEFAULT 0;

-- How far each table has been loaded; the row with the highest version counts. It is written last, once the rows are in
-- and have been compared.
CREATE TABLE IF NOT EXISTS raw.load_cursors
(
    table_name LowCardinality(String),
    version UInt64,
    run_id String,
    system_identifier String,
    timeline UInt32,
    epoch UInt32,
    database_oid UInt32,
    tracking_id String,
    xmin UInt64,
    ledger_rows Int64,
    ledger_checksum String,
    rows UInt64,
    checksum String,
    parts String,
    compared_at DateTime64(6, 'UTC'),
    recorded_at DateTime64(6, 'UTC')
)
ENGINE = ReplacingMergeTree(version)
ORDER BY table_name;

-- Versions that loads have used. No two tries get the same one, so rows that a killed load sends late cannot win.
CREATE TABLE IF NOT EXISTS raw.load_versions
(
    table_name LowCardinality(String),
    version UInt64,
    run_id String,
    given_at DateTime64(6, 'UTC')
)
ENGINE = ReplacingMergeTree(version)
ORDER BY table_name;
