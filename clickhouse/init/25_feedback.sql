-- Feedback on recommendations; the table has the form of those in 20_raw_tables.sql.

CREATE TABLE IF NOT EXISTS raw.feedback
(
    recommendation_id String,
    movie_id Int64,
    event String,
    user_id Nullable(Int64),
    position Int16,
    model_version String,
    listed_at DateTime64(6, 'UTC'),
    received_at DateTime64(6, 'UTC'),
    _changed_in UInt64,
    _version UInt64,
    _is_deleted UInt8,
    _extracted_at DateTime64(6, 'UTC'),
    _run_id LowCardinality(String)
)
ENGINE = ReplacingMergeTree(_version, _is_deleted)
ORDER BY (recommendation_id, movie_id, event)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1;
