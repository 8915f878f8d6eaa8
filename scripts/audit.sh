#!/usr/bin/env bash
# Compares every lock with the published advisories (pip-audit). Exit codes: 0 no advisory concerns us; 1 some do;
# 77 not known, because the advisory data of some package could not be reached.
# Use: scripts/audit.sh [LOCK ...]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
BIN=.venv/bin
LOCKS=("$@")
[ ${#LOCKS[@]} -gt 0 ] || LOCKS=(requirements.lock requirements-dev.lock airflow/requirements.lock
  airflow/requirements-dev.lock superset/requirements.lock scripts/requirements-uv.lock)

# Findings that we have examined and accept, each with its reason and an end date:
#   --ignore-vuln PYSEC-0000-0   # why it cannot concern us
IGNORED=()

# Builds no environment and downloads no package: the locks name every version with its hashes.
audit() {
  "$BIN/pip-audit" --format json --progress-spinner off --disable-pip --require-hashes --timeout 15 \
    --requirement "$1" "${IGNORED[@]}"
}

scripts/environments.sh core-dev
result=0
report=$(mktemp)
trap 'rm -f "$report"' EXIT
for lock in "${LOCKS[@]}"; do
  code=0
  audit "$lock" >"$report" || echo "   pip-audit ended with code $?" >&2
  "$BIN/python" -m dataflix_tools.audit_report <"$report" || code=$?
  case $code in
    0) echo "$lock: no known advisory" ;;
    77)
      echo "$lock: NOT AUDITED, the advisory data could not be reached"
      [ $result -eq 1 ] || result=77
      ;;
    *)
      echo "$lock: FINDINGS; raise the versions and run scripts/lock.sh, or add them to IGNORED with a reason"
      result=1
      ;;
  esac
done
exit $result
