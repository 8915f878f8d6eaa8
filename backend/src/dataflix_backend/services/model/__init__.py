"""The served model: fetched from the registry, checked, loaded by each worker."""
