#!/usr/bin/env bash
# Runs on every start: init.sh FOLDER runs the SQL files of the folder in order of name, then sets the accounts of
# clickhouse/embedded to the passwords of the environment.
# clickhouse-client reads its own password from CLICKHOUSE_PASSWORD.
set -euo pipefail
client=(clickhouse-client --host "$DATAFLIX_CLICKHOUSE_HOST" --user dataflix_admin)

for file in "$1"/*.sql; do
  echo "clickhouse: $(basename "$file")"
  "${client[@]}" --queries-file "$file"
done

# Passwords are hashed here, so that no statement that the server may log contains one.
account() { # NAME ROLE PASSWORD SETTINGS
  local hash
  hash=$(printf %s "$3" | sha256sum | cut -d ' ' -f 1)
  "${client[@]}" <<SQL
CREATE USER IF NOT EXISTS $1 IDENTIFIED WITH sha256_hash BY '$hash';
ALTER USER $1 IDENTIFIED WITH sha256_hash BY '$hash' SETTINGS $4;
GRANT $2 TO $1;
ALTER USER $1 DEFAULT ROLE $2;
SQL
  echo "clickhouse: user $1"
}

account elt_writer raw_writer "$DATAFLIX_CLICKHOUSE_ELT_PASSWORD" NONE
account dbt transformer "$DATAFLIX_CLICKHOUSE_DBT_PASSWORD" NONE
account trainer recommendation_writer "$DATAFLIX_CLICKHOUSE_TRAINER_PASSWORD" NONE
# 2: read only, but queries may bring settings, which every client library sends.
account reader analytics_reader "$DATAFLIX_CLICKHOUSE_READER_PASSWORD" "readonly = 2"
