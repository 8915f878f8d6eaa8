"""The ``dataflix`` command line."""
