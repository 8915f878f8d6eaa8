#!/usr/bin/env bash
# Stops Dataflix and keeps its data: ./stop.sh [--purge [--yes]]
set -euo pipefail
ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

case "${1:-}" in
  -h | --help)
    cat <<'TXT'
Use: ./stop.sh                   stop every service and keep the data
     ./stop.sh --purge [--yes]   also delete all data and logs, after asking (--yes: without asking)
TXT
    exit 0
    ;;
esac

if [ ! -x "$ROOT/.venv/bin/python" ]; then
  echo "Nothing was started from this folder." >&2
  exit 0
fi
exec "$ROOT/.venv/bin/python" -m dataflix_stack stop "$@"
