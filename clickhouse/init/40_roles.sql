-- One role per kind of user; the users and their passwords come from the environment, not from SQL.
-- No role may read files, URLs or other servers, and none but the administrator's may create databases.

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
-- The staging tables that are exchanged with these begin with their names.
GRANT INSERT, CREATE TABLE, DROP TABLE, TRUNCATE ON analytics.recommendations* TO recommendation_writer;
GRANT INSERT, CREATE TABLE, DROP TABLE, TRUNCATE ON analytics.registry* TO recommendation_writer;

CREATE ROLE IF NOT EXISTS analytics_reader;
GRANT SELECT ON analytics.* TO analytics_reader;

-- Erasure: the ELT removes people from everything that was made of what it loaded, and waits until the files are gone.
GRANT SELECT, ALTER DELETE, ALTER SETTINGS ON analytics.* TO raw_writer;
GRANT SELECT ON system.parts TO raw_writer;
GRANT SELECT ON system.dropped_tables TO raw_writer;
-- It tells a build of dbt that is at work from one that was killed.
GRANT SELECT ON system.processes TO raw_writer;
