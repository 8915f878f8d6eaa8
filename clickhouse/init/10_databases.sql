-- The warehouse's two databases: what the source holds, and what dbt makes of it.
-- Atomic, because reloads and model swaps rely on EXCHANGE TABLES.
CREATE DATABASE IF NOT EXISTS raw ENGINE = Atomic;

CREATE DATABASE IF NOT EXISTS analytics ENGINE = Atomic;
