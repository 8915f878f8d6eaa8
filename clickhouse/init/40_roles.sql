-- One role per kind of user. The users and their passwords come from the environment, not from SQL.
-- No role may read files, URLs or other servers, and only the administrator's may create databases.

CREATE ROLE IF NOT EXISTS administrator;
GRANT ALL ON *.* TO administrator WITH GRANT OPTION;

CREATE ROLE IF NOT EXISTS raw_writer;
GRANT SELECT, INSERT, ALTER, CREATE TABLE, DROP TABLE, TRUNCATE, OPTIMIZE ON raw.* TO raw_writer;

CREATE ROLE IF NOT EXISTS transformer;
GRANT SELECT ON raw.* TO transformer;
GRANT SELECT, INSERT, ALTER, CREATE TABLE, CREATE VIEW, DROP TABLE, DROP VIEW, TRUNCATE, OPTIMIZE ON analytics.* TO transformer;

-- dbt's unit tests read their expected rows from a temporary table.
GRANT CREATE TEMPORARY TABLE ON *.* TO transformer;

CREATE ROLE IF NOT EXISTS recommendation_writer;
GRANT SELECT ON analytics.* TO recommendation_writer;
-- Their staging tables have names that begin with theirs.
GRANT INSERT, CREATE TABLE, DROP TABLE, TRUNCATE ON analytics.recommendations* TO recommendation_writer;
GRANT INSERT, CREATE TABLE, DROP TABLE, TRUNCATE ON analytics.registry* TO recommendation_writer;

CREATE ROLE IF NOT EXISTS analytics_reader;
GRANT SELECT ON analytics.* TO analytics_reader;

-- Erasure: the ELT removes users from all tables that dbt and the trainer derived from its own, and waits until the
-- files are deleted.
GRANT SELECT, ALTER DELETE, ALTER SETTINGS ON analytics.* TO raw_writer;
-- Where an erasure leaves few people who share a region and an age, the ELT hides these until dbt counts again.
GRANT ALTER UPDATE ON analytics.dim_users* TO raw_writer;
GRANT SELECT ON system.parts TO raw_writer;
GRANT SELECT ON system.dropped_tables TO raw_writer;
-- With it, the ELT distinguishes a running build by dbt from a killed one.
GRANT SELECT ON system.processes TO raw_writer;
