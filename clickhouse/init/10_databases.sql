-- The warehouse's two databases: what the source holds, and what dbt builds from it.
-- Atomic, because full loads and dbt's tables rely on EXCHANGE TABLES.
CREATE DATABASE IF NOT EXISTS raw ENGINE = Atomic;

CREATE DATABASE IF NOT EXISTS analytics ENGINE = Atomic;
