"""Trains, evaluates, registers and promotes Dataflix models."""

from dataflix_trainer.mlflow_client import limit_mlflow_client

# MLflow reads some of it while it is imported, and everything of ours that imports it comes through here.
limit_mlflow_client()
