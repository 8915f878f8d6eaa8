"""The environment of Airflow's processes, its REST API, and runs of the pipeline."""
