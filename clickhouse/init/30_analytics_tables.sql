-- The trainer writes all rows into a staging table with the same columns and exchanges it with this one.
CREATE TABLE IF NOT EXISTS analytics.recommendations
(
    user_id Int64,
    rank UInt16,
    movie_id Int64,
    score Float32,
    model_version String,
    generated_at DateTime64(6, 'UTC')
)
ENGINE = MergeTree
ORDER BY (user_id, rank);
