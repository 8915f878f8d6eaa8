#!/usr/bin/env bash
# Checks everything: style, types, the tests of every room on real services, and the whole stack end to end.
# Use: ./test.sh [--long] [lint] [types] [core] [model] [airflow] [dbt] [superset] [e2e] [images]
# Without a stage: all but images, in three lanes at the same time. Stages that you name run one after the other.
# --long tries random input and faults thousands of times instead of dozens, which takes hours.
# MOVIELENS_DIR=FOLDER adds the tests on real data. DATAFLIX_BROWSER=required fails where no browser is found instead
# of skipping its tests. DATAFLIX_PROVE_IMAGES=yes adds the stage images, which needs 7 GB of disk.
# shellcheck disable=SC2329  # Stages are called by their names.
set -euo pipefail
ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cd "$ROOT"

# Tests start many programs. Where Python may not keep what it compiles, each of them compiles its libraries again.
unset PYTHONDONTWRITEBYTECODE

scripts/environments.sh core-dev airflow-dev superset
BIN=.venv/bin
# Without a compiler's runtime on the machine, implicit takes the copy that another wheel brings.
openmp=$("$BIN/python" -m dataflix_trainer.openmp)
[ -z "$openmp" ] || export LD_LIBRARY_PATH="$openmp${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"

lint() {
  "$BIN/ruff" check . &&
    "$BIN/ruff" format --check . &&
    git ls-files -z '*.sh' .ci/run | xargs -0 "$BIN/shellcheck" &&
    PYTHONPATH=airflow/src:superset/src "$BIN/lint-imports" --no-logo &&
    "$BIN/python" scripts/check_lineage.py &&
    "$BIN/sqlfluff" lint --nocolor --disable-progress-bar dbt
}

# One run a room: each is a program of its own, and some have modules of the same name.
types() {
  local room
  for room in common recommender trainer backend cli clickhouse/embedded airflow loader source stack ops tools; do
    echo "mypy: $room"
    MYPYPATH="$room/src:stack/src:scripts:examples" "$BIN/mypy" "$room/src" "$room/tests" || return 1
  done
  echo "mypy: scripts, postgres, dbt, superset, tests"
  MYPYPATH="stack/src:tools/src:superset/src:scripts:tests/testkit/src:tests" "$BIN/mypy" scripts postgres/tests dbt/tests \
    superset/src superset/tests superset/superset_config.py superset/superset_privacy.py \
    superset/superset_login_limit.py superset/superset_dates.py tests || return 1
  echo "mypy: benchmarks"
  MYPYPATH="benchmarks:stack/src:scripts:airflow/src" "$BIN/mypy" benchmarks
}

core() {
  "$BIN/pytest" --junitxml "$notes/core.xml" common backend cli clickhouse/embedded postgres loader source stack ops tools scripts benchmarks examples
}

model() {
  "$BIN/pytest" --junitxml "$notes/model.xml" recommender trainer
}

airflow() {
  airflow/.venv/bin/pytest --junitxml "$notes/airflow.xml" airflow/tests
}

dbt() {
  "$BIN/pytest" --junitxml "$notes/dbt.xml" dbt
}

superset() {
  "$BIN/pytest" --junitxml "$notes/superset.xml" superset
}

e2e() {
  local chromium
  # Where there is none, the browser's tests are the ones to say what that means.
  if chromium=$(scripts/chromium.sh --install); then export CHROMIUM=$chromium; fi
  "$BIN/pytest" --junitxml "$notes/e2e.xml" --timeout 1800 tests
}

# Exit code 77: not run, with the reason.
images() {
  # Docker Compose, which the first brings along, then reads what the second holds against the local way.
  nice scripts/test_images.sh && "$BIN/pytest" tests/test_compose.py -k compose_accepts
}

# The stages of a lane run one after the other, and the lanes at the same time: most tests wait for services.
lanes=("lint core" "airflow dbt superset" "e2e types model")
[ "${DATAFLIX_PROVE_IMAGES:-}" != yes ] || lanes[1]+=" images"

if [ "${1:-}" = --long ]; then
  export DATAFLIX_LONG=1
  shift
fi
[ $# -eq 0 ] || lanes=("$*")

notes=$(mktemp -d)
trap 'rm -rf "$notes"' EXIT

# With several lanes each line starts with its stage.
run() {
  if [ ${#lanes[@]} -eq 1 ]; then "$1"; else "$1" 2>&1 | tee "$notes/$1.log" | sed -u "s/^/$1: /"; fi
}

run_lane() {
  local stage began code result
  for stage in $1; do
    echo "== $stage"
    began=$SECONDS
    code=0
    run "$stage" || code=$?
    case $stage-$code in
      *-0) result=passed ;;
      images-77) result="was NOT RUN, see above; ended" ;;
      *)
        result=FAILED
        touch "$notes/$stage.failed"
        ;;
    esac
    echo "== $stage $result after $((SECONDS - began)) s"
  done
}

if [ ${#lanes[@]} -eq 1 ]; then
  run_lane "${lanes[0]}"
else
  # Lanes are process groups, so that an interrupt reaches every service that a test has started.
  set -m
  groups=()
  for lane in "${lanes[@]}"; do
    run_lane "$lane" &
    groups+=("-$!")
  done
  trap 'trap - INT TERM; kill -INT -- "${groups[@]}"; wait; exit 130' INT TERM
  wait
fi

shopt -s nullglob
reports=("$notes"/*.xml)
[ ${#reports[@]} -eq 0 ] || "$BIN/python" -m dataflix_tools.slowest_tests "${reports[@]}"

failures=("$notes"/*.failed)
[ ${#failures[@]} -gt 0 ] || exit 0
for failed in "${failures[@]}"; do
  stage=$(basename "$failed" .failed)
  echo "test.sh: failed: $stage" >&2
  [ ! -e "$notes/$stage.log" ] || grep -E '^(FAILED|ERROR) ' "$notes/$stage.log" >&2 || [ $? -eq 1 ]
done
exit 1
