"""Another application's database: described, looked at, checked, and copied into our own Postgres."""
