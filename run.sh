#!/usr/bin/env bash
# Starts Dataflix: ./run.sh [--data PATH|none] [--source FILE] [--docker] | status [--json] | pipeline [--full] [--accept-source] | source ...
set -euo pipefail
ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

case "${1:-}" in
  -h | --help)
    cat <<'TXT'
Use: ./run.sh [--data PATH]     build, start, load data and run the pipeline once; later: start again
     ./run.sh --source FILE     the same with your own database, which FILE describes; later: ./run.sh
     ./run.sh --docker          the same in Docker, with or without --data or --source
     ./run.sh status [--json]   every service, its port and its health
     ./run.sh pipeline [--full] run elt_pipeline again and wait for its end; --full: load whole tables, not only changes;
                                --accept-source: take over another database than the one that was copied and loaded
     ./run.sh source COMMAND    look at your own database, check its description, copy it: ./run.sh source --help

PATH is a MovieLens folder or zip, or none to start empty; without it, the sample data is loaded. Settings are in .env.
TXT
    exit 0
    ;;
esac

"$ROOT/scripts/environments.sh" core
exec "$ROOT/.venv/bin/python" -m dataflix_stack "$@"
