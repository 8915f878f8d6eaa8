"""The warehouse: ClickHouse's database ``raw``."""
