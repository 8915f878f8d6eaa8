#!/usr/bin/env bash
# Writes the requirements.lock of every environment, with hashes and without index addresses.
# Use: scripts/lock.sh [uv pip compile options, e.g. --upgrade-package flask]
set -euo pipefail
cd "$(dirname "$0")/.."

compile() {
  uv pip compile --universal --python-version 3.11 --generate-hashes --no-header --quiet "$@"
}

# Our own packages come from this folder, never from an index.
compile "$@" requirements.in {common,recommender,trainer,backend,cli,clickhouse/embedded,loader,stack,ops}/pyproject.toml \
  --no-emit-package dataflix-common --no-emit-package dataflix-recommender --output-file requirements.lock
compile "$@" requirements-dev.in tools/pyproject.toml \
  --no-emit-package dataflix-common --no-emit-package dataflix-stack --output-file requirements-dev.lock
compile "$@" airflow/requirements.in {common,airflow}/pyproject.toml \
  --no-emit-package dataflix-common --output-file airflow/requirements.lock
compile "$@" airflow/requirements-dev.in --output-file airflow/requirements-dev.lock
compile "$@" superset/requirements.in common/pyproject.toml --output-file superset/requirements.lock
