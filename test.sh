#!/usr/bin/env bash
# Checks everything: style, types, every room's tests on real services, and the whole stack end to end.
# Use: ./test.sh [lint] [types] [core] [airflow] [dbt] [superset] [e2e]    (none named: all of them)
# With MOVIELENS_DIR set to a MovieLens folder, tests on real data run too.
set -euo pipefail
ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cd "$ROOT"

scripts/environments.sh core-dev airflow-dev superset
BIN=.venv/bin
# Without a compiler's runtime on the machine, implicit takes the copy that another wheel brings.
openmp=$("$BIN/python" -m dataflix_trainer.openmp)
[ -z "$openmp" ] || export LD_LIBRARY_PATH="$openmp${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"

lint() {
  "$BIN/ruff" check . &&
    "$BIN/ruff" format --check . &&
    git ls-files -z '*.sh' .ci/run | xargs -0 "$BIN/shellcheck" &&
    "$BIN/python" scripts/check_lineage.py &&
    "$BIN/sqlfluff" lint --nocolor --disable-progress-bar dbt
}

# One run a room: each is a program of its own, and some have modules of the same name.
types() {
  local room
  for room in recommender trainer backend cli clickhouse/embedded airflow; do
    echo "mypy: $room"
    MYPYPATH="$room/src:scripts:tests" "$BIN/mypy" "$room/src" "$room/tests" || return 1
  done
  echo "mypy: scripts, postgres, dbt, superset, tests"
  MYPYPATH="scripts:tests" "$BIN/mypy" \
    scripts postgres/tests dbt/tests superset/tests superset/superset_config.py tests
}

core() {
  "$BIN/pytest" recommender trainer backend cli clickhouse/embedded postgres scripts
}

airflow() {
  airflow/.venv/bin/pytest airflow/tests
}

dbt() {
  "$BIN/pytest" dbt
}

superset() {
  "$BIN/pytest" superset
}

e2e() {
  "$BIN/pytest" --timeout 1800 tests
}

failed=()
for part in "${@:-lint types core airflow dbt superset e2e}"; do
  for stage in $part; do
    echo "== $stage"
    began=$SECONDS
    if "$stage"; then result=passed; else
      result=FAILED
      failed+=("$stage")
    fi
    echo "== $stage $result after $((SECONDS - began)) s"
  done
done
[ ${#failed[@]} -eq 0 ] || {
  echo "test.sh: failed: ${failed[*]}" >&2
  exit 1
}
