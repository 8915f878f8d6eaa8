"""What the tests of the embedded ClickHouse share."""
