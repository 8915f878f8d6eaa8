"""From one snapshot of the source into our own Postgres, in one transaction."""
