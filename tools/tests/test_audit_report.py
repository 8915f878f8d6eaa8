"""The report on advisories: findings count, and missing data is never taken for safety."""

import io
import json
import sys
from typing import Any

import pytest

from dataflix_tools import audit_report

SAFE = {"name": "alpha", "version": "1.0", "vulns": []}
VULNERABLE = {"name": "beta", "version": "2.0", "vulns": [{"id": "PYSEC-1", "fix_versions": ["2.1"]}]}
UNKNOWN = {"name": "gamma", "skip_reason": "not found"}


@pytest.mark.parametrize(
    ("packages", "code"),
    [([SAFE], 0), ([SAFE, VULNERABLE], 1), ([SAFE, UNKNOWN], 77), ([VULNERABLE, UNKNOWN], 1)],
)
def test_findings_come_before_missing_data(packages: list[dict[str, Any]], code: int) -> None:
    assert audit_report.report(packages) == code


def test_a_finding_names_package_advisory_and_fix(capsys: pytest.CaptureFixture[str]) -> None:
    audit_report.report([VULNERABLE])
    assert "beta 2.0: PYSEC-1, fixed in 2.1" in capsys.readouterr().out


@pytest.mark.parametrize("text", ["", "no JSON", json.dumps({"error": 1})])
def test_a_broken_report_is_missing_data(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(text))
    with pytest.raises(SystemExit) as ended:
        audit_report.main()
    assert ended.value.code == 77
