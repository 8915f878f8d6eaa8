#!/usr/bin/env bash
# Builds our images with buildah, without a container engine, on a stand-in base, starts them with real services, waits
# for their health checks and runs the pipeline in them. Built images are kept in ~/.cache/dataflix/images.
# Exit codes: 0 all work, 1 an image does not, 77 not run, with the reason.
# Use: scripts/test_images.sh [--work FOLDER] [IMAGE...]
set -euo pipefail
ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
"$ROOT/scripts/environments.sh" core-dev
exec "$ROOT/.venv/bin/python" -m dataflix_tools.image_smoke_tests "$@"
