"""The engine's access configuration, made from the roles and grants of the init SQL.

chDB has no store for roles made by SQL, and knows one user. Its configuration can define roles, though, and
it enforces them: every connection is put under its account's role before it runs anything.
"""

import re
from collections.abc import Callable, Iterable
from pathlib import Path
from xml.etree import ElementTree

from dataflix_clickhouse.errors import QueryError, SettingsError

CONFIG_FOLDER = "config"
_CREATE = re.compile(r"CREATE ROLE (?:IF NOT EXISTS )?(\w+)")
_GRANT = re.compile(r"(GRANT .+) TO (\w+)( WITH GRANT OPTION)?")

# Settings that nobody can change: they would make the engine read other SQL than the one that was checked ...
_FIXED_SQL = (
    "additional_result_filter",
    "additional_table_filters",
    "allow_experimental_eval_table_function",
    "dialect",
    "filter",
    "implicit_select",
    "order",
    "parallel_replicas_custom_key",
    "polyglot_dialect",
    "select",
    "sort",
)
# ... or read, write or rename files of the machine, or call another server, outside of all grants.
_FIXED_FILES = (
    "allow_introspection_functions",
    "format_avro_schema_registry_url",
    "format_schema",
    "format_schema_source",
    "format_template_resultset",
    "format_template_row",
    "input_format_record_errors_file_path",
    "output_format_schema",
    "rename_files_after_processing",
)
# clickhouse-local switches these on; a server has them off.
_SERVER_DEFAULTS = {"implicit_select": "0", "allow_introspection_functions": "0"}
# A dropped table's files stay for eight minutes by default, so that UNDROP can bring it back. Here a table
# may hold somebody who is to be forgotten, and who should not have to wait as long.
_DROPPED_TABLES_STAY_S = 10
# For the same reason, old parts are looked for every few seconds; a server's half minute may become five.
_OLD_PARTS = {
    "cleanup_delay_period": "4",
    "cleanup_delay_period_random_add": "1",
    "max_cleanup_delay_period": "8",
}


def collect(statements: Iterable[str], canonical: Callable[[str], str]) -> dict[str, list[str]]:
    """Return each role's grants (as `GRANT ... ON ...`), from CREATE ROLE and GRANT statements.

    `canonical` is the engine's formatting of a statement.

    Raises:
        SettingsError: a statement is no CREATE ROLE, nor a GRANT of privileges to one role made before.
    """
    roles: dict[str, list[str]] = {}
    for statement in statements:
        try:
            text = canonical(statement)
        except QueryError as error:
            raise SettingsError(f"{error.text.strip()} in: {statement}") from error
        created, granted = _CREATE.fullmatch(text), _GRANT.fullmatch(text)
        if created is not None:
            roles.setdefault(created[1], [])
        elif granted is not None and granted[2] in roles:
            roles[granted[2]].append(granted[1] + (granted[3] or ""))
        else:
            raise SettingsError(
                f"cannot take over this statement: {text}; "
                "write CREATE ROLE name, then GRANT privileges TO that role"
            )
    return roles


def write(data_dir: Path, roles: dict[str, list[str]]) -> Path:
    """Write the configuration into the data folder and return its path.

    Raises:
        OSError: the folder cannot be written.
    """
    folder = data_dir / CONFIG_FOLDER
    folder.mkdir(mode=0o700, exist_ok=True)
    users = folder / "users.xml"
    _replace(users, _users(roles))
    config = ElementTree.Element("clickhouse")
    ElementTree.SubElement(config, "users_config").text = str(users)
    delay = ElementTree.SubElement(config, "database_atomic_delay_before_drop_table_sec")
    delay.text = str(_DROPPED_TABLES_STAY_S)
    merge_tree = ElementTree.SubElement(config, "merge_tree")
    for name, value in _OLD_PARTS.items():
        ElementTree.SubElement(merge_tree, name).text = value
    return _replace(folder / "config.xml", config)


def existing(data_dir: Path) -> Path:
    """Return the configuration an earlier start has written.

    Raises:
        SettingsError: there is none.
    """
    path = data_dir / CONFIG_FOLDER / "config.xml"
    if not path.is_file():
        raise SettingsError(
            f"{data_dir} has no roles yet: give --init with the folder of the SQL that makes them"
        )
    return path


def _replace(path: Path, root: ElementTree.Element) -> Path:
    beside = path.with_suffix(".new")
    ElementTree.indent(root)
    beside.write_bytes(ElementTree.tostring(root, encoding="utf-8"))
    beside.replace(path)
    return path


def _users(roles: dict[str, list[str]]) -> ElementTree.Element:
    root = ElementTree.Element("clickhouse")
    profile = ElementTree.SubElement(ElementTree.SubElement(root, "profiles"), "default")
    for name, value in _SERVER_DEFAULTS.items():
        ElementTree.SubElement(profile, name).text = value
    constraints = ElementTree.SubElement(profile, "constraints")
    for name in (*_FIXED_SQL, *_FIXED_FILES):
        ElementTree.SubElement(ElementTree.SubElement(constraints, name), "const")
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
    return root


def _add_grants(parent: ElementTree.Element, grants: list[str]) -> None:
    element = ElementTree.SubElement(parent, "grants")
    for grant in grants:
        ElementTree.SubElement(element, "query").text = grant
