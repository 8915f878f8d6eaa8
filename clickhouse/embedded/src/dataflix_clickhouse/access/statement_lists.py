"""What a statement may name: the lists that `statement_policy` checks it against."""

# First words of statements that every account may run, on what its grants allow. Not here: statements that
# change access (SET ROLE, EXECUTE AS, GRANT) or that work below the tables (ATTACH, BACKUP, SYSTEM).
ALLOWED_FIRST_WORDS = frozenset(
    [
        "ALTER",
        "CHECK",
        "CREATE",
        "DELETE",
        "DESCRIBE",
        "DROP",
        "EXCHANGE",
        "EXISTS",
        "EXPLAIN",
        "INSERT",
        "OPTIMIZE",
        "RENAME",
        "SELECT",
        "SHOW",
        "TRUNCATE",
        "UNDROP",
        "UPDATE",
        "USE",
        "WITH",
    ]
)
# The scalar function that reads any file of the server. Functions can also be passed by name (`APPLY file`,
# `arrayMap(file, ...)`), so only the administrator may use the name at all.
FILE_FUNCTION = "file"
# Table functions of the engine, in lower case. Every account may use these: they make rows, or read tables
# with the account's own grants ...
ALLOWED_TABLE_FUNCTIONS = frozenset(
    [
        "dictionary",
        "format",
        "generate_series",
        "generaterandom",
        "generateseries",
        "input",
        "loop",
        "merge",
        "null",
        "numbers",
        "numbers_mt",
        "primes",
        "sqlstandardvalues",
        "values",
        "view",
        "viewexplain",
        "viewifpermitted",
        "zeros",
        "zeros_mt",
    ]
)
# ... and only the administrator may use these. They reach files, programs, other servers, this process's
# memory or the files of a table, or run SQL that this check cannot see. Grants refuse most of them, too.
REFUSED_TABLE_FUNCTIONS = frozenset(
    [
        "arrowstream",
        "azureblobstorage",
        "azureblobstoragecluster",
        "bigquery",
        "cluster",
        "clusterallreplicas",
        "cosn",
        "deltalake",
        "deltalakeazure",
        "deltalakeazurecluster",
        "deltalakecluster",
        "deltalakelocal",
        "deltalakes3",
        "deltalakes3cluster",
        "eval",
        "executable",
        "filecluster",
        "filesystem",
        "fuzzjson",
        "fuzzquery",
        "gcs",
        "hdfs",
        "hdfscluster",
        "hudi",
        "hudicluster",
        "iceberg",
        "icebergazure",
        "icebergazurecluster",
        "icebergcluster",
        "iceberghdfs",
        "iceberghdfscluster",
        "iceberglocal",
        "iceberglocalcluster",
        "icebergs3",
        "icebergs3cluster",
        "jdbc",
        "mergetreeanalyzeindexes",
        "mergetreeanalyzeindexesuuid",
        "mergetreecodecblockcounts",
        "mergetreeindex",
        "mergetreeprojection",
        "mergetreetextindex",
        "mongodb",
        "mysql",
        "odbc",
        "oss",
        "paimon",
        "paimonazure",
        "paimonazurecluster",
        "paimoncluster",
        "paimonhdfs",
        "paimonhdfscluster",
        "paimonlocal",
        "paimons3",
        "paimons3cluster",
        "postgresql",
        "prometheusquery",
        "prometheusqueryrange",
        "python",
        "redis",
        "remote",
        "remotesecure",
        "s3",
        "s3cluster",
        "sqlite",
        "timeseriesdata",
        "timeseriesmetricfamilies",
        "timeseriesmetrics",
        "timeseriessamples",
        "timeseriesselector",
        "timeseriestags",
        "url",
        "urlcluster",
        "ytsaurus",
    ]
)
# Engines of the tables that every account may create, if its grants allow it: they keep data below the data
# folder, or nowhere.
ALLOWED_ENGINES = frozenset(
    [
        "AggregatingMergeTree",
        "CoalescingMergeTree",
        "CollapsingMergeTree",
        "Memory",
        "MergeTree",
        "Null",
        "ReplacingMergeTree",
        "SummingMergeTree",
        "VersionedCollapsingMergeTree",
    ]
)
# Settings of a table that every account may choose. None of them says where the data are.
ALLOWED_TABLE_SETTINGS = frozenset(
    [
        "add_minmax_index_for_numeric_columns",
        "add_minmax_index_for_string_columns",
        "allow_nullable_key",
        "assign_part_uuids",
        "cleanup_delay_period",
        "cleanup_delay_period_random_add",
        "compress",
        "deduplicate_merge_projection_mode",
        "default_compression_codec",
        "enable_block_number_column",
        "enable_block_offset_column",
        "fsync_after_insert",
        "fsync_part_directory",
        "index_granularity",
        "index_granularity_bytes",
        "lightweight_mutation_projection_mode",
        "materialize_ttl_recalculate_only",
        "max_bytes_to_keep",
        "max_cleanup_delay_period",
        "max_compress_block_size",
        "max_parts_in_total",
        "max_rows_to_keep",
        "merge_with_ttl_timeout",
        "min_bytes_for_wide_part",
        "min_bytes_to_keep",
        "min_compress_block_size",
        "min_rows_for_wide_part",
        "min_rows_to_keep",
        "non_replicated_deduplication_window",
        "old_parts_lifetime",
        "parts_to_delay_insert",
        "parts_to_throw_insert",
        "ratio_of_defaults_for_sparse_serialization",
        "replicated_deduplication_window",
        "ttl_only_drop_parts",
    ]
)
# Pairs of words. What the first ones create has the rights of the engine's only user, which are those of all
# roles; the others copy data to where nobody looks for them, or take data from elsewhere.
REFUSED_PAIRS = {
    (
        "MATERIALIZED",
        "VIEW",
    ): "create or change a materialized view, which would have the rights of all roles",
    ("WINDOW", "VIEW"): "create a window view, which would have the rights of all roles",
    ("DEFINER", "="): "create a view with the rights of others",
    ("SECURITY", "DEFINER"): "create a view with the rights of others",
    ("SECURITY", "NONE"): "create a view with the rights of others",
    ("MODIFY", "REFRESH"): "change how a view is refreshed",
    # The engine formats each command of ALTER in brackets.
    ("(", "FREEZE"): "freeze a table",
    ("(", "UNFREEZE"): "unfreeze a table",
    ("(", "FETCH"): "fetch a part",
    ("TO", "DISK"): "move data to a disk",
    ("TO", "VOLUME"): "move data to a volume",
    ("TO", "SHARD"): "move data to a shard",
}
# Forms of IN that the engine does not format as an operator.
IN_FUNCTIONS = tuple(
    f"{where}{form}{ignoring}"
    for where in ("", "global")
    for form in ("in", "notin", "nullin", "notnullin")
    for ignoring in ("", "ignoreset")
)
# The database whose tables a mutation may read besides its own: only tables that loads fill, and no views.
LOADED_DATABASE = "raw"
# Words that end the list of tables after FROM.
AFTER_TABLES = frozenset(
    [
        "EXCEPT",
        "GROUP",
        "HAVING",
        "INTERSECT",
        "LIMIT",
        "ORDER",
        "PREWHERE",
        "QUALIFY",
        "SETTINGS",
        "UNION",
        "WHERE",
        "WINDOW",
    ]
)
