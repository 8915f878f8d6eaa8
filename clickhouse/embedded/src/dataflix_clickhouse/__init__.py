"""ClickHouse's HTTP interface in front of chDB."""
