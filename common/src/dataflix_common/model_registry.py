"""Names in MLflow's registry that the trainer writes and the backend reads."""

DEFAULT_MODEL_NAME = "dataflix-als"
# The alias of the version that the API serves.
CHAMPION_ALIAS = "champion"
