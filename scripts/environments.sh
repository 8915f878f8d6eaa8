#!/usr/bin/env bash
# Builds Python environments from their hash-pinned locks; one that is up to date is left as it is.
# Use: scripts/environments.sh core|core-dev|airflow|airflow-dev|superset ...
# PYTHON=/path/to/python chooses the Python to build with.
set -euo pipefail
ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$ROOT"

die() {
  echo "dataflix: $*" >&2
  exit 1
}

# Python 3.11 and 3.12 are the versions that every locked package has wheels for.
find_python() {
  local candidate path
  for candidate in ${PYTHON:-python3 python3.12 python3.11 python}; do
    path=$(command -v "$candidate") || continue
    if "$path" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 13))' 2>/dev/null; then
      "$path" -c 'import sys; print(sys.executable)'
      return
    fi
  done
  local version
  version=$(python3 --version 2>&1) || version="none"
  die "Python 3.11 or 3.12 is needed; python3 here is: $version. Install one, or name it: PYTHON=/path/to/python ./run.sh"
}

# The environment's Python must still exist and have a version that the locks are made for.
usable() {
  [ -x "$1/bin/python" ] &&
    "$1/bin/python" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 13))' 2>/dev/null
}

make_venv() {
  local venv=$1 python
  usable "$venv" && return
  # Its services may run from it at this moment.
  if [ -e "$venv" ] && [ ! -O "$venv" ] && [ "$(id -u)" != 0 ]; then
    die "$ROOT/$venv belongs to another account, and this one cannot use it. Run the command as that account, or clone the project."
  fi
  python=$(find_python)
  rm -rf "$venv"
  if command -v uv >/dev/null; then
    uv venv --quiet --python "$python" "$venv"
  elif ! "$python" -m venv "$venv" >/dev/null 2>&1; then
    rm -rf "$venv"
    die "$python can't make an environment (python -m venv failed). Install its venv module (Debian: python3-venv), or uv."
  fi
}

# A machine without uv gets it from the package index, into the core environment.
find_uv() {
  if command -v uv; then return; fi
  if [ ! -x .venv/bin/uv ]; then
    .venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes \
      --requirement scripts/requirements-uv.lock >&2 ||
      die "uv could not be installed from the package index; see the messages of pip above."
  fi
  echo "$ROOT/.venv/bin/uv"
}

# The fingerprint of what an environment was built from. When it changes, the environment is built again.
fingerprint() {
  local venv=$1
  shift
  { "$venv/bin/python" --version && echo "$ROOT" && cat "$@"; } | cksum
}

build() { # NAME VENV "LOCKS" "PACKAGES"
  local name=$1 venv=$2 locks packages uv mark now requirements=() editables=() sources=()
  read -ra locks <<<"$3"
  read -ra packages <<<"$4"
  make_venv "$venv"
  for lock in "${locks[@]}"; do requirements+=(-r "$lock"); done
  for package in "${packages[@]}"; do
    editables+=(-e "$package")
    sources+=("$package/pyproject.toml")
  done
  mark="$venv/.dataflix-$name"
  now=$(fingerprint "$venv" "${locks[@]}" "${sources[@]}")
  if [ "$(cat "$mark" 2>/dev/null || echo none)" = "$now" ]; then return; fi
  [ -w "$venv" ] || die "$ROOT/$venv must be brought up to date, and this account cannot write it. Run the command as the account that built it."
  uv=$(find_uv)
  "$uv" pip install --quiet --python "$venv" --require-hashes "${requirements[@]}"
  if [ ${#editables[@]} -gt 0 ]; then
    "$uv" pip install --quiet --python "$venv" --no-deps --no-build-isolation "${editables[@]}"
  fi
  echo "$now" >"$mark"
}

CORE_PACKAGES="common recommender trainer backend cli clickhouse/embedded loader source stack ops"
TEST_PACKAGES="tests/testkit"
DEV_PACKAGES="$CORE_PACKAGES $TEST_PACKAGES tools"

[ $# -gt 0 ] || die "use: scripts/environments.sh core|core-dev|airflow|airflow-dev|superset ..."
for environment in "$@"; do
  case $environment in
    core) build core .venv "requirements.lock" "$CORE_PACKAGES" ;;
    core-dev) build core-dev .venv "requirements.lock requirements-dev.lock" "$DEV_PACKAGES" ;;
    airflow) build airflow airflow/.venv "airflow/requirements.lock" "common airflow" ;;
    airflow-dev) build airflow-dev airflow/.venv "airflow/requirements.lock airflow/requirements-dev.lock" "common airflow $TEST_PACKAGES" ;;
    superset) build superset superset/.venv "superset/requirements.lock" "common" ;;
    *) die "no environment is called '$environment'; there are core, core-dev, airflow, airflow-dev, superset." ;;
  esac
done
