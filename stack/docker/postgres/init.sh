#!/usr/bin/env bash
# Brings Postgres to what a folder of SQL says, on every start: init.sh FOLDER, whose files run in order of name.
# The server and its superuser are named by PGHOST, PGUSER and PGPASSWORD; the SQL reads its secrets from the environment.
set -euo pipefail
export PGOPTIONS="-c client_min_messages=warning"
psql=(psql --no-psqlrc --quiet --tuples-only --no-align --set ON_ERROR_STOP=1)

"${psql[@]}" --dbname postgres --set "wanted=$DATAFLIX_POSTGRES_DB" <<'SQL'
SELECT format('CREATE DATABASE %I', :'wanted')
WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = :'wanted')
\gexec
SQL
for file in "$1"/*.sql; do
  echo "postgres: $(basename "$file")"
  "${psql[@]}" --dbname "$DATAFLIX_POSTGRES_DB" --file "$file" >/dev/null
done
