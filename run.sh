#!/usr/bin/env bash
# Starts Dataflix: ./run.sh [--data PATH] [--docker] | status [--json] | pipeline [--full]
set -euo pipefail
ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

case "${1:-}" in
  -h | --help)
    cat <<'TXT'
Use: ./run.sh [--data PATH]     build, start, load data and run the pipeline once; later: start again
     ./run.sh --docker          the same in Docker, with or without --data
     ./run.sh status [--json]   every service, its port and its health
     ./run.sh pipeline [--full] run elt_pipeline again and wait for its end; --full: load whole tables, not only changes

PATH is a MovieLens folder or zip; without it, the sample data is loaded. Settings are in .env.
TXT
    exit 0
    ;;
esac

"$ROOT/scripts/environments.sh" core
exec "$ROOT/.venv/bin/python" -m dataflix_stack "$@"
