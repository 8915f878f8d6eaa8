#!/usr/bin/env bash
# Runs on every start: init.sh FOLDER creates the database and runs the SQL files of the folder in order of name.
# PGHOST, PGUSER and PGPASSWORD name the server and its superuser; the SQL reads its secrets from the environment.
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
