#!/usr/bin/env bash
# Writes the requirements.lock of every environment, with hashes and without index addresses.
# Use: scripts/lock.sh [uv pip compile options, e.g. --upgrade-package flask]
# Needs uv: on the PATH, or in .venv, where scripts/environments.sh puts it.
set -euo pipefail
cd "$(dirname "$0")/.."
PATH=$PATH:$PWD/.venv/bin

# Our own packages come from this folder, never from an index, so no lock holds them.
ours=()
for package in common recommender stack loader source ops; do ours+=(--no-emit-package "dataflix-$package"); done

compile() {
  uv pip compile --universal --python-version 3.11 --generate-hashes --no-header --quiet "${ours[@]}" "$@"
}

compile "$@" requirements.in {common,recommender,trainer,backend,cli,clickhouse/embedded,loader,source,stack,ops}/pyproject.toml \
  --output-file requirements.lock
compile "$@" requirements-dev.in tools/pyproject.toml --output-file requirements-dev.lock
compile "$@" airflow/requirements.in {common,airflow}/pyproject.toml --output-file airflow/requirements.lock
compile "$@" airflow/requirements-dev.in --output-file airflow/requirements-dev.lock
compile "$@" superset/requirements.in common/pyproject.toml --output-file superset/requirements.lock
