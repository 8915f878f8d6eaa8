"""Writes the engine's access configuration from the roles and grants of the init SQL.

chDB cannot store roles that SQL creates, and it has only one user. But its configuration files can define
roles, profiles and row policies, and it enforces them: each connection runs SET ROLE and SET profile for its
account before anything else. Row policies hide the tables of `system` that a role has no grant for.
"""

import re
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path
from xml.etree import ElementTree

from dataflix_clickhouse.access.accounts import ACCOUNTS
from dataflix_clickhouse.access.limits import account_memory, engine_memory, statement_threads
from dataflix_clickhouse.errors import QueryError, StartupError
from dataflix_common.files import replace_file

CONFIG_FOLDER = "config"
MEMORY_SETTING = "max_memory_usage"
_TEMPORARY_FILES = "max_temporary_data_on_disk_size_for_query"
_CREATE = re.compile(r"CREATE ROLE (?:IF NOT EXISTS )?(\w+)")
_GRANT = re.compile(r"(GRANT .+) TO (\w+)( WITH GRANT OPTION)?")

# Settings that no account can change. All that hold a text and are not in FREE_TEXTS, because a text may be a
# path, an address or SQL that was not checked ...
FIXED_TEXTS = (
    "additional_result_filter",
    "additional_table_filters",
    "ai_function_embedding_default_credentials",
    "ai_function_text_default_credentials",
    "cluster_for_parallel_replicas",
    "compatibility",
    "compression",
    "default_format",
    "default_materialized_view_sql_security",
    "default_normal_view_sql_security",
    "default_view_definer",
    "dialect",
    "distributed_cache_client_id",
    "distributed_cache_file_cache_name",
    "distributed_plan_force_exchange_kind",
    "filesystem_cache_name",
    "filter",
    "format",
    "format_avro_schema_registry_url",
    "format_schema",
    "format_schema_message_name",
    "format_schema_source",
    "format_template_resultset",
    "format_template_row",
    "framing_output_format",
    "function_implementation",
    "http_response_headers",
    "iceberg_metadata_compression_method",
    "implicit_table_at_top_level",
    "input_format",
    "input_format_record_errors_file_path",
    "local_filesystem_read_method",
    "metrics_perf_events_list",
    "order",
    "os_thread_priority",
    "os_threads_nice_value_materialized_view",
    "os_threads_nice_value_query",
    "output_format",
    "output_format_avro_confluent_subject",
    "output_format_schema",
    "parallel_replicas_custom_key",
    "polyglot_dialect",
    "promql_database",
    "promql_table",
    "remote_filesystem_read_method",
    "rename_files_after_processing",
    "s3_base",
    "s3queue_default_zookeeper_path",
    "select",
    "send_logs_source_regexp",
    "sort",
    "stream_like_engine_insert_queue",
    "trace_profile_events_list",
    "url_base",
    "workload",
)
# ... and some that hold a number: they allow functions that reach files, memory or other servers, or take a
# statement out of the limits on memory or out of the sight of KILL QUERY.
_FIXED_NUMBERS = (
    "allow_experimental_ai_functions",
    "allow_experimental_eval_table_function",
    "allow_fuzz_query_functions",
    "allow_get_client_http_header",
    "allow_introspection_functions",
    "allow_python_table_function",
    "implicit_select",
    "log_queries_cut_to_length",
    "max_untracked_memory",
    "memory_overcommit_ratio_denominator",
    "memory_overcommit_ratio_denominator_for_user",
    "memory_tracker_fault_probability",
)
# Settings that each take this many threads of one statement; 0 is one for each core.
THREAD_SETTINGS = (
    "max_alter_threads",
    "max_download_threads",
    "max_final_threads",
    "max_insert_threads",
    "max_parsing_threads",
    "max_threads",
    "max_threads_for_indexes",
)
# Settings that no account can raise above what the engine has: they bound what one statement costs before it
# runs (where no memory is counted), and what it leaves in memory after its end.
_BOUNDED_BY_DEFAULT = {
    "max_analyze_depth": 5000,
    "max_ast_depth": 1000,
    "max_ast_elements": 50_000,
    "max_expanded_ast_elements": 500_000,
    "max_parser_backtracks": 1_000_000,
    "max_parser_depth": 1000,
    "max_pipeline_depth": 1000,
    "max_recursive_cte_evaluation_depth": 1000,
    "max_streams_to_max_threads_ratio": 1,
    "max_subquery_depth": 100,
}
# Settings with a text that every account can change: names of columns, formats of values, notes.
FREE_TEXTS = frozenset(
    [
        "bool_false_representation",
        "bool_true_representation",
        "chdb_client_name",
        "column_names_for_schema_inference",
        "count_distinct_implementation",
        "database",
        "errors_output_format",
        "exclude_materialize_skip_indexes_on_insert",
        "force_data_skipping_indices",
        "force_optimize_projection_name",
        "format_csv_null_representation",
        "format_custom_field_delimiter",
        "format_custom_result_after_delimiter",
        "format_custom_result_before_delimiter",
        "format_custom_row_after_delimiter",
        "format_custom_row_before_delimiter",
        "format_custom_row_between_delimiter",
        "format_json_object_each_row_column_for_object_name",
        "format_regexp",
        "format_template_resultset_format",
        "format_template_row_format",
        "format_template_rows_between_delimiter",
        "format_tsv_null_representation",
        "ignore_data_skipping_indices",
        "input_format_mysql_dump_table_name",
        "input_format_orc_reader_time_zone_name",
        "insert_deduplication_token",
        "log_comment",
        "network_compression_method",
        "output_format_avro_codec",
        "output_format_avro_string_column_pattern",
        "output_format_image_terminal_mode",
        "output_format_orc_writer_time_zone_name",
        "output_format_pretty_grid_charset",
        "output_format_sql_insert_table_name",
        "preferred_optimize_projection_name",
        "query_cache_tag",
        "s3_upload_checksum_algorithm",
        "schema_inference_hints",
        "temporary_files_codec",
    ]
)
# Settings of a table that decide where its data are. The policy refuses them before the engine makes a disk.
_FIXED_OF_TABLES = ("disk", "storage_policy", "table_disk", "remote_fs_zero_copy_zookeeper_path")
# Tables of `system` that every account may read, as on a server: they show what the engine has, or only what
# the grants of the account cover. The others have texts of statements, errors with values, or paths.
OPEN_SYSTEM_TABLES = frozenset(
    [
        "aggregate_function_combinators",
        "build_options",
        "codecs",
        "collations",
        "columns",
        "completions",
        "contributors",
        "current_roles",
        "data_skipping_index_types",
        "data_skipping_indices",
        "data_type_families",
        "database_engines",
        "databases",
        "documentation",
        "enabled_roles",
        "formats",
        "functions",
        "keywords",
        "licenses",
        "merge_tree_settings",
        "numbers",
        "numbers_mt",
        "one",
        "primes",
        "privileges",
        "settings",
        "table_engines",
        "table_functions",
        "tables",
        "time_zones",
        "tokenizers",
        "unicode",
        "zeros",
        "zeros_mt",
    ]
)
_TABLE_GRANT = re.compile(r"GRANT (.+) ON (\S+?)( WITH GRANT OPTION)?")
# The part of the file system's bytes that the temporary files of one statement may take.
_TEMPORARY_FILES_SHARE = 0.25
# clickhouse-local turns these on; a server has them off.
_SERVER_DEFAULTS = {"implicit_select": "0", "allow_introspection_functions": "0"}
# The default keeps the files of a dropped table for 8 minutes (for UNDROP); erasing a user must not wait for
# that.
_DROP_TABLE_DELAY_S = 2
# Also for erasure: look for old parts every second. A server looks every 30 s, and up to 5 minutes later.
_OLD_PARTS_CLEANUP = {
    "cleanup_delay_period": "1",
    "cleanup_delay_period_random_add": "0",
    "max_cleanup_delay_period": "2",
}


def grants_by_role(statements: Iterable[str], canonical: Callable[[str], str]) -> dict[str, list[str]]:
    """Return the grants of each role (as `GRANT ... ON ...`) from CREATE ROLE and GRANT statements.

    Args:
        statements: the access statements of the init SQL, in order.
        canonical: formats a statement as the engine does.

    Raises:
        StartupError: a statement is neither CREATE ROLE nor a GRANT of privileges to a role created before
            it.
    """
    roles: dict[str, list[str]] = {}
    for statement in statements:
        try:
            text = canonical(statement)
        except QueryError as error:
            raise StartupError(f"{error.text.strip()} in: {statement}") from error
        created, granted = _CREATE.fullmatch(text), _GRANT.fullmatch(text)
        if created is not None:
            roles.setdefault(created[1], [])
        elif granted is not None and granted[2] in roles:
            roles[granted[2]].append(granted[1] + (granted[3] or ""))
        else:
            raise StartupError(
                f"this access statement is not supported: {text}; "
                "write CREATE ROLE name, then GRANT privileges TO that role"
            )
    return roles


def write_config(data_dir: Path, roles: dict[str, list[str]], system_tables: Iterable[str]) -> Path:
    """Write the configuration files into the data folder and return the path of config.xml.

    Args:
        data_dir: the data folder.
        roles: the grants of each role.
        system_tables: the names of the engine's tables in `system`.

    Raises:
        OSError: the folder is not writable.
    """
    folder = data_dir / CONFIG_FOLDER
    folder.mkdir(mode=0o700, exist_ok=True)
    users = folder / "users.xml"
    temporary_files = int(shutil.disk_usage(data_dir).total * _TEMPORARY_FILES_SHARE)
    _replace(users, _users(roles, system_tables, temporary_files))
    config = ElementTree.Element("clickhouse")
    ElementTree.SubElement(config, "users_config").text = str(users)
    ElementTree.SubElement(config, "max_server_memory_usage").text = str(engine_memory())
    delay = ElementTree.SubElement(config, "database_atomic_delay_before_drop_table_sec")
    delay.text = str(_DROP_TABLE_DELAY_S)
    merge_tree = ElementTree.SubElement(config, "merge_tree")
    for name, value in _OLD_PARTS_CLEANUP.items():
        ElementTree.SubElement(merge_tree, name).text = value
    return _replace(folder / "config.xml", config)


def existing_config(data_dir: Path) -> Path:
    """Return the path of the configuration that an earlier start wrote, with the limits of this machine.

    Raises:
        StartupError: there is none, or a version without limits wrote it.
    """
    folder = data_dir / CONFIG_FOLDER
    path, users = folder / "config.xml", folder / "users.xml"
    if not path.is_file():
        raise StartupError(
            f"{data_dir} has no roles yet: pass --init with the folder of the SQL files that create them"
        )
    root = ElementTree.parse(users).getroot()  # noqa: S314  this server wrote it
    # The machine may have another size now.
    limits = {f"default/constraints/{name}": statement_threads() for name in THREAD_SETTINGS} | {
        f"{account.name}/constraints/{MEMORY_SETTING}": account_memory(account) for account in ACCOUNTS
    }
    for place, limit in limits.items():
        bound = root.find(f"profiles/{place}/max")
        if bound is None:
            raise StartupError(
                f"the roles in {data_dir} are of an older version: "
                "pass --init with the folder of the SQL files that create them"
            )
        bound.text = str(limit)
    _replace(users, root)
    return path


def _replace(path: Path, root: ElementTree.Element) -> Path:
    ElementTree.indent(root)
    replace_file(path, ElementTree.tostring(root, encoding="utf-8"))
    return path


def _users(
    roles: dict[str, list[str]], system_tables: Iterable[str], temporary_files: int
) -> ElementTree.Element:
    root = ElementTree.Element("clickhouse")
    profiles = ElementTree.SubElement(root, "profiles")
    profile = ElementTree.SubElement(profiles, "default")
    for name, value in _SERVER_DEFAULTS.items():
        ElementTree.SubElement(profile, name).text = value
    ElementTree.SubElement(profile, _TEMPORARY_FILES).text = str(temporary_files)
    constraints = ElementTree.SubElement(profile, "constraints")
    for name in (*FIXED_TEXTS, *_FIXED_NUMBERS, *(f"merge_tree_{one}" for one in _FIXED_OF_TABLES)):
        ElementTree.SubElement(ElementTree.SubElement(constraints, name), "const")
    _add_bounds(constraints, _TEMPORARY_FILES, temporary_files)
    for name, maximum in _BOUNDED_BY_DEFAULT.items():
        _add_bounds(constraints, name, maximum)
    for name in THREAD_SETTINGS:
        _add_maximum(ElementTree.SubElement(constraints, name), statement_threads())
    for account in ACCOUNTS:
        limits = ElementTree.SubElement(ElementTree.SubElement(profiles, account.name), "constraints")
        _add_bounds(limits, MEMORY_SETTING, account_memory(account))
    ElementTree.SubElement(ElementTree.SubElement(root, "quotas"), "default")
    all_roles = ElementTree.SubElement(root, "roles")
    for name, grants in roles.items():
        _add_grants(ElementTree.SubElement(all_roles, name), grants)
    user = ElementTree.SubElement(ElementTree.SubElement(root, "users"), "default")
    ElementTree.SubElement(user, "no_password")
    ElementTree.SubElement(ElementTree.SubElement(user, "networks"), "ip").text = "::/0"
    ElementTree.SubElement(user, "profile").text = "default"
    ElementTree.SubElement(user, "quota").text = "default"
    _add_grants(user, [f"GRANT {', '.join(roles)}"])
    system = ElementTree.SubElement(ElementTree.SubElement(user, "databases"), "system")
    for table in sorted(set(system_tables) - OPEN_SYSTEM_TABLES):
        readers = ", ".join(f"'{role}'" for role, grants in roles.items() if _may_read(grants, table))
        ElementTree.SubElement(
            ElementTree.SubElement(system, table), "filter"
        ).text = f"hasAny(currentRoles(), [{readers}])"
    return root


def _add_bounds(constraints: ElementTree.Element, name: str, maximum: int) -> None:
    bounds = ElementTree.SubElement(constraints, name)
    # 0 would mean without a limit.
    ElementTree.SubElement(bounds, "min").text = "1"
    _add_maximum(bounds, maximum)


def _add_maximum(bounds: ElementTree.Element, maximum: int) -> None:
    ElementTree.SubElement(bounds, "max").text = str(maximum)


def _may_read(grants: list[str], system_table: str) -> bool:
    """Return whether grants name a table of `system`; without a grant, a server does not show it."""
    for grant in grants:
        found = _TABLE_GRANT.fullmatch(grant)
        if found is None or found[2] not in ("*.*", "system.*", f"system.{system_table}"):
            continue
        if {"ALL", "SELECT"} & set(found[1].split(", ")):
            return True
    return False


def _add_grants(parent: ElementTree.Element, grants: list[str]) -> None:
    element = ElementTree.SubElement(parent, "grants")
    for grant in grants:
        ElementTree.SubElement(element, "query").text = grant
