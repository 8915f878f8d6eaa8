"""Whether a source is as the description and the mode need it; nothing is written to find out."""

from dataflix_source.capture import content_hash, trigger_names, watches
from dataflix_source.client import Session, source_snapshot
from dataflix_source.description.model import CopyMode, Description
from dataflix_source.description.references import quoted
from dataflix_source.errors import RefusedError
from dataflix_source.looking.catalog import Catalog, read_catalog
from dataflix_source.looking.findings import Findings
from dataflix_source.looking.structure import check_structure
from dataflix_source.settings import SourceSettings
from dataflix_source.slot import refuse_unreadable, unseen

_AGAIN = "Run what `./run.sh source script` prints again; the next copy then compares everything."


def refuse_unready(settings: SourceSettings, description: Description) -> None:
    """Raise if a copy could not begin.

    Raises:
        SourceUnavailableError: the source can't be reached.
        RefusedError: it does not fit the description, or lacks what the mode needs.
    """
    refuse_ours(description)
    with source_snapshot(settings) as source:
        catalog = read_catalog(source)
        refuse_other_structure(description, catalog)
        match description.source.copy_mode:
            case CopyMode.TRIGGERS:
                installation(source, description, content_hash(description, catalog))
            case CopyMode.REPLICATION:
                refuse_unreadable(source, description.source.slot)


def refuse_ours(description: Description) -> None:
    """Raise if the description is of our own tables.

    Raises:
        RefusedError: it is.
    """
    if description.source.kind == "ours":
        raise RefusedError("The description is of our own tables (kind: ours); there is nothing to copy.")


def refuse_other_structure(description: Description, catalog: Catalog) -> None:
    """Raise if the source's tables are not those of the description.

    Raises:
        RefusedError: they are not.
    """
    findings = Findings()
    check_structure(description, catalog, findings)
    if description.source.copy_mode is CopyMode.REPLICATION:
        for place, problem in unseen(description, catalog):
            findings.problem(place, problem)
    if findings.problems:
        first, *others = findings.problems
        more = f" And {len(others)} more; `./run.sh source check` lists them." if others else ""
        raise RefusedError(f"The source does not fit the description. {first.place}: {first.text}{more}")


def installation(source: Session, description: Description, content: str) -> tuple[str, int]:
    """Return the id of the triggers in the source, and the transaction from which on they have all notes.

    Args:
        source: a snapshot of the source.
        description: with the mode triggers.
        content: the hash of what the description reads.

    Raises:
        RefusedError: the triggers are missing, of another description, or not all of them are on.
    """
    schema = quoted(description.source.capture_schema.name)
    if not source.value("SELECT to_regclass(%s) IS NOT NULL", (f"{schema}.installation",)):
        raise RefusedError(
            f"The source has no schema {description.source.capture_schema} of ours, which copy: triggers"
            " needs. `./run.sh source script` prints what makes it."
        )
    found, installed, complete_from = source.row(
        f"SELECT installation_id::text, content_hash, complete_from::text::bigint FROM {schema}.installation"
    )
    if installed != content:
        raise RefusedError(
            "The script in the source is of another description, or the described columns have changed"
            " since. " + _AGAIN
        )
    on = set(
        source.rows(
            "SELECT n.nspname, c.relname, t.tgname FROM pg_trigger AS t"
            " INNER JOIN pg_proc AS p ON t.tgfoid = p.oid INNER JOIN pg_class AS c ON t.tgrelid = c.oid"
            " INNER JOIN pg_namespace AS n ON c.relnamespace = n.oid"
            " WHERE p.pronamespace = to_regnamespace(%s) AND t.tgenabled = 'A'",
            (schema,),
        )
    )
    for number, watch in enumerate(watches(description)):
        missing = [
            name for name in trigger_names(number) if (watch.table.schema, watch.table.name, name) not in on
        ]
        if missing:
            raise RefusedError(
                f"Triggers of {watch.table} are missing or off ({', '.join(missing)}), so changes may have"
                " been missed. " + _AGAIN
            )
    return str(found), int(complete_from)
