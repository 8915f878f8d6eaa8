"""The MLflow registry: versions, runs, their retention, and their copy in the warehouse."""
