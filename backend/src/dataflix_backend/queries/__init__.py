"""SQL, one module for each resource. Every function is one statement: one round trip, all or nothing."""
