"""dbt's sources and models: sources must be tables of the warehouse, models must match their yml."""

from pathlib import Path

from dataflix_tools.lineage.dbt import DATABASE, DbtProject, Described
from dataflix_tools.lineage.graph import Column, Graph, Name
from dataflix_tools.lineage.sql import Query, Source, UnreadableSqlError

_MARTS = "dbt/models/marts/"


def add_dbt(graph: Graph, root: Path) -> None:
    """Add the descriptions of sources to the raw tables, and add every model with its sources.

    Raises:
        DbtFileError: a model cannot be rendered.
    """
    project = DbtProject(root)
    for source in project.sources.values():
        _document_source(graph, source)
    schema: dict[str, dict[str, list[str]]] = {DATABASE: {}}
    for table, columns in graph.tables("clickhouse").items():
        database, name = table.split(".")
        schema.setdefault(database, {})[name] = columns
    for model in project.in_order():
        file, sql = project.queries[model]
        described = project.models.get(model, Described(file, DATABASE, model, {}))
        try:
            query = Query.parse(sql, schema, "clickhouse")
        except UnreadableSqlError as error:
            graph.find(file, model, str(error))
            # Models that read it are checked against its yml.
            schema[DATABASE][model] = list(described.columns)
            for column, about in described.columns.items():
                graph.add(Column(Name("dbt", model, column), described.file, about))
            continue
        schema[DATABASE][model] = query.columns
        _add_model(graph, file, described, query)
    for model, described in project.models.items():
        if model not in project.queries:
            graph.find(described.file, model, "is described, but there is no such model")


def _document_source(graph: Graph, source: Described) -> None:
    table = f"{source.database}.{source.name}"
    existing = graph.table("clickhouse", table)
    for column, about in source.columns.items():
        if column not in existing:
            graph.find(source.file, f"{table}.{column}", "is not in the table that clickhouse/init makes")
        elif not about:
            graph.find(source.file, f"{table}.{column}", "is not documented")
        else:
            known = existing[column]
            graph.columns[known.name] = Column(known.name, known.file, about, known.marking)
    for column, known in existing.items():
        if column not in source.columns:
            graph.find(source.file, known.name, "is missing; the table has it")


def _add_model(graph: Graph, file: str, described: Described, query: Query) -> None:
    model = described.name
    for column in query.columns:
        name = Name("dbt", model, column)
        about = described.columns.get(column)
        if not about:
            problem = "is in no yml" if about is None else "is not documented"
            graph.find(described.file, name, problem)
        origins = {_name(graph, source) for source in query.sources(column)}
        marking = _marking(graph, origins)
        if marking == "personal" or (marking and file.startswith(_MARTS)):
            graph.find(file, name, f"carries {marking} data of people")
        graph.add(Column(name, file, about or "", marking), origins)
    for column in described.columns:
        if column not in query.columns:
            graph.find(
                described.file, f"dbt {model}.{column}", "is described, but the model does not make it"
            )


def _name(graph: Graph, source: Source) -> Name:
    database, table, column = source
    # Models and the tables that the trainer writes are in the same database.
    written = Name("clickhouse", f"{database}.{table}", column)
    return written if written in graph.columns else Name("dbt", table, column)


def _marking(graph: Graph, origins: set[Name]) -> str:
    """Return the class of personal data in a column, which is the worst of its sources; empty for none."""
    carried = {graph.columns[name].marking for name in origins if name in graph.columns}
    return next((kind for kind in ("personal", "masked", "pseudonymised") if kind in carried), "")
