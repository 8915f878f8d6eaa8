"""A program that reads the DAG folder as Airflow does and writes what it found as JSON.

Use: describe_dags.py FOLDER, with Airflow's settings in the environment.
"""

import json
import sys
from pathlib import Path
from typing import Any

from airflow.dag_processing.dagbag import DagBag


def described(task: Any) -> dict[str, Any]:
    """Return what the tests check."""
    return {
        "type": task.task_type,
        "downstream": sorted(task.downstream_task_ids),
        "retries": task.retries,
        "retry_policy": task.retry_policy.serialize() if task.retry_policy else None,
        "exponential": bool(task.retry_exponential_backoff),
        "trigger_rule": task.trigger_rule.value,
        "documented": bool(task.doc_md),
        "inlets": [asset.name for asset in task.inlets],
        "outlets": [asset.name for asset in task.outlets],
        "mapped": task.is_mapped,
    }


bag = DagBag(Path(sys.argv[1]), load_op_links=False)
found = {
    dag_id: {
        "schedule": dag.timetable.expression,
        "catchup": dag.catchup,
        "max_active_runs": dag.max_active_runs,
        "tags": sorted(dag.tags),
        "documented": bool(dag.doc_md),
        "tasks": {task.task_id: described(task) for task in dag.tasks},
    }
    for dag_id, dag in bag.dags.items()
}
Path(sys.argv[2]).write_text(json.dumps({"errors": bag.import_errors, "dags": found}))
