#!/usr/bin/env bash
# Builds each of our images with buildah, without a container engine, on a stand-in base, starts it against real
# services and waits for its health check. Exit codes: 0 proven, 1 an image failed, 77 not run, with the reason.
# Use: scripts/test_images.sh [--work FOLDER] [IMAGE...]
set -euo pipefail
ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
"$ROOT/scripts/environments.sh" core-dev
exec "$ROOT/.venv/bin/python" -m dataflix_tools.image_smoke_tests "$@"
