"""SQL, one module per resource: every function is one statement, so one round trip and all or nothing."""
