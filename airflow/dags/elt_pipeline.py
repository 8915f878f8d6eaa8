"""### From the application's database to a published model

1. **extract_load** loads into ClickHouse what was inserted, updated and deleted in each masked table since
the last run, and compares the table with the source. 2. **dbt** builds and tests staging, intermediate and
marts in one `dbt build`. Each model also has a task, which turns green when the model and its tests have
passed. 3. **train** lets the trainer fit, evaluate and register a model on `user_item_matrix`. 4. **publish**
lets the promotion rule decide, and writes a list of recommendations for every user. 5. **erase** removes
deleted users from every table of the warehouse and from its disk. 6. **prune** removes models and exported
lists that are older than DATAFLIX_RETENTION_DAYS.

If a table differs from its source, or a test of dbt fails, the run fails: it neither trains nor publishes.
The last two steps run all the same, once no other step of the run is working: a person who asked to be
forgotten does not wait until somebody has repaired a model. **outcome** then fails the run.

Parameter `full` loads whole tables, which also repairs a difference; `accept_source` replaces what was loaded
from another database, which is refused otherwise; `verify` says how much to compare. Only
steps that wait for other services are retried; an error that needs a person fails at once.
"""

import os
from datetime import timedelta
from typing import Any
from urllib.parse import quote

from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import (
    Asset,
    AssetAlias,
    Context,
    CronTriggerTimetable,
    ExceptionRetryPolicy,
    Param,
    RetryAction,
    RetryRule,
    TriggerRule,
    conf,
    dag,
    get_current_context,
    task,
)
from cosmos.airflow.task_group import DbtTaskGroup
from cosmos.config import ExecutionConfig, ProfileConfig, ProjectConfig, RenderConfig
from cosmos.constants import DbtResourceType, ExecutionMode, InvocationMode, LoadMode, TestBehavior
from cosmos.operators.watcher import DbtRunWatcherOperator, DbtTestWatcherOperator

from dataflix_elt import steps
from dataflix_elt.clients.dbt_project import manifest, models
from dataflix_elt.loading.reconciliation import Verify
from dataflix_elt.settings import DbtSettings
from dataflix_elt.tables import TABLE_NAMES

DBT = DbtSettings.from_environ(os.environ)
MANIFEST = manifest(DBT)
MODELS = models(MANIFEST)

# Each mapped load adds its own table when it is done.
RAW_TABLES = AssetAlias("raw tables")
MATRIX = Asset("analytics.user_item_matrix")
MODEL = Asset("registered model")
RECOMMENDATIONS = Asset("analytics.recommendations")

# A restart of ClickHouse, Postgres or the trainer takes seconds. The delay doubles: the last try comes after
# a minute.
IO_RETRIES: dict[str, Any] = {
    "retries": 3,
    "retry_delay": timedelta(seconds=10),
    "retry_exponential_backoff": 2,
    "max_retry_delay": timedelta(minutes=5),
    "retry_policy": ExceptionRetryPolicy(
        [RetryRule(exception="dataflix_elt.errors.PermanentError", action=RetryAction.FAIL)]
    ),
}


def run_url(context: Context) -> str:
    """Return the URL of the run's page."""
    run = context["dag_run"]
    return f"{conf.get('api', 'base_url')}/dags/{run.dag_id}/runs/{quote(run.run_id)}"


def model_task(*, dag: Any, task_group: Any, node: Any, task_args: dict[str, Any], **_: Any) -> Any:
    """Return the task of a dbt model: it waits until the model and its tests have passed in the dbt build."""
    model = MODELS[node.unique_id]
    operator = DbtTestWatcherOperator if model.tests else DbtRunWatcherOperator
    return operator(
        task_id=node.name,
        dag=dag,
        task_group=task_group,
        doc_md=model.description,
        outlets=[MATRIX] if MATRIX.name.endswith(f".{node.name}") else [],
        extra_context={"dbt_node_config": node.context_dict},
        **task_args,
    )


@dag(
    # At night, when the source has little to do. No start date: the first scheduled run is in the next night.
    schedule=CronTriggerTimetable("0 3 * * *", timezone="UTC"),
    catchup=False,
    max_active_runs=1,
    params={
        "full": Param(False, type="boolean", description="Load whole tables; repairs every difference."),
        "accept_source": Param(
            False, type="boolean", description="Replace what was loaded from another database."
        ),
        "verify": Param(
            Verify.AUTO.value,
            enum=[verify.value for verify in Verify],
            description="Compare keys, or all columns; auto: all columns of small tables, and once a day.",
        ),
    },
    tags=["dataflix", "elt", "dbt", "training"],
    doc_md=__doc__,
)
def elt_pipeline() -> None:
    """Connect the steps."""

    @task(
        # A mapped task does not take its documentation from the function.
        doc_md="Load what has changed in one masked table into ClickHouse, and compare both sides.",
        outlets=[RAW_TABLES],
        map_index_template="{{ task.op_kwargs['table'] }}",
        # Each load keeps one core of the source and one of the warehouse busy.
        max_active_tis_per_dagrun=2,
        execution_timeout=timedelta(hours=2),
        **IO_RETRIES,
    )
    def extract_load(table: str) -> dict[str, Any]:
        context = get_current_context()
        result = steps.load(
            table,
            run_id=context["run_id"],
            attempt=context["ti"].try_number,
            full=context["params"]["full"],
            accept_source=context["params"]["accept_source"],
            verify=context["params"]["verify"],
        )
        context["outlet_events"][RAW_TABLES].add(Asset(f"raw.{table}"), extra=result)
        return result

    transform = DbtTaskGroup(
        group_id="dbt",
        project_config=ProjectConfig(DBT.project, manifest_path=MANIFEST, install_dbt_deps=False),
        profile_config=ProfileConfig(
            "dataflix", "warehouse", profiles_yml_filepath=DBT.project / "profiles.yml"
        ),
        # One dbt process builds all models and runs all tests, those of sources and of several models too, in
        # dbt's own order. It costs a fifth of one dbt process per model. As a subprocess it reports what has
        # ended. Inside the task it would report each start, too, and keep the API server busier than
        # ClickHouse (23 s of its time for 140 nodes instead of 8).
        execution_config=ExecutionConfig(
            execution_mode=ExecutionMode.WATCHER, invocation_mode=InvocationMode.SUBPROCESS
        ),
        render_config=RenderConfig(
            load_method=LoadMode.DBT_MANIFEST,
            test_behavior=TestBehavior.AFTER_EACH,
            node_converters={DbtResourceType.MODEL: model_task},
            emit_datasets=False,
        ),
        # The triggerer would be one more service, only to save a process that sleeps for a few seconds.
        operator_args={"install_deps": False, "deferrable": False, "poke_interval": 2},
        default_args={"retries": 0, "execution_timeout": timedelta(hours=2)},
    )

    # Cosmos would count a test for every model that it reads, and one failure would colour half the graph.
    transform.children["dbt.dbt_producer_watcher"].tests_per_model = {
        unique_id: list(model.tests) for unique_id, model in MODELS.items() if model.tests
    }

    @task(inlets=[MATRIX], outlets=[MODEL], execution_timeout=timedelta(hours=6), **IO_RETRIES)
    def train() -> str:
        """Let the trainer fit, evaluate and register a model; returns its version."""
        context = get_current_context()
        result = steps.train(run_id=context["run_id"], run_url=run_url(context))
        context["outlet_events"][MODEL].extra = result
        return str(result["model_version"])

    @task(inlets=[MODEL], outlets=[RECOMMENDATIONS], execution_timeout=timedelta(hours=2), **IO_RETRIES)
    def publish(model_version: str) -> dict[str, Any]:
        """Let the promotion rule decide on the version, and write the recommendations of all users."""
        return steps.publish(model_version, run_id=get_current_context()["run_id"])

    @task(trigger_rule=TriggerRule.ALL_DONE, execution_timeout=timedelta(hours=1), **IO_RETRIES)
    def erase() -> dict[str, Any]:
        """Remove deleted users from the warehouse, and verify that they are gone."""
        return steps.erase()

    @task(trigger_rule=TriggerRule.ALL_DONE, execution_timeout=timedelta(hours=1), **IO_RETRIES)
    def prune() -> dict[str, Any]:
        """Remove models and exported lists that are older than the retention."""
        return steps.prune(run_id=get_current_context()["run_id"])

    # The last tasks decide how a run ends, and the two before succeed even if others have failed.
    outcome = EmptyOperator(task_id="outcome", doc_md="Fails the run when one of its steps has failed.")

    loaded, trained = extract_load.expand(table=list(TABLE_NAMES)), train()
    published = publish(trained)
    loaded >> transform >> trained
    # A step that will not run any more counts as done while steps before it are still working. So erase waits
    # for each step that writes to the warehouse.
    [loaded, transform.children["dbt.dbt_producer_watcher"], published] >> erase() >> outcome
    published >> prune() >> outcome
    published >> outcome


elt_pipeline()
