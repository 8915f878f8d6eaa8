"""The source: masked views in Postgres, read in one snapshot."""
