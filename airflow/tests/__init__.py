"""A package of its own name: named after the folder above, the tests would hide the package `airflow`."""
