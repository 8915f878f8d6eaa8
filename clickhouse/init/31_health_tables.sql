-- What the trainer and dbt record about their work, for the dashboard on model and data health.

-- A copy of the model registry. The trainer writes it into staging tables with the same columns and exchanges them
-- with these.
CREATE TABLE IF NOT EXISTS analytics.registry_versions
(
    model_version UInt32,
    registered_at DateTime64(6, 'UTC'),
    decision LowCardinality(String),
    decision_reason String,
    is_champion Bool,
    airflow_run_id String,
    promoted_at Nullable(DateTime64(6, 'UTC'))
)
ENGINE = MergeTree
ORDER BY model_version;

CREATE TABLE IF NOT EXISTS analytics.registry_metrics
(
    model_version UInt32,
    candidate LowCardinality(String),
    metric LowCardinality(String),
    value Float64
)
ENGINE = MergeTree
ORDER BY (model_version, candidate, metric);

-- One row per data test and dbt run; rows are only added.
CREATE TABLE IF NOT EXISTS analytics.dbt_test_results
(
    invocation_id String,
    test_name String,
    model_name LowCardinality(String),
    layer LowCardinality(String),
    status LowCardinality(String),
    failures_count UInt64,
    duration_seconds Float64,
    executed_at DateTime64(6, 'UTC')
)
ENGINE = MergeTree
ORDER BY (test_name, executed_at, invocation_id);
