"""The slowest tests of several runs are listed together."""

from pathlib import Path

from dataflix_tools.slowest_tests import Timed, slowest

REPORT = """<testsuites><testsuite>
<testcase classname="{room}.test_a" name="test_quick" time="0.1"/>
<testcase classname="{room}.test_a" name="test_slow[{room}]" time="{seconds}"/>
</testsuite></testsuites>"""


def test_several_reports_are_one_list(tmp_path: Path) -> None:
    for room, seconds in (("cli", 3), ("backend", 7)):
        (tmp_path / f"{room}.xml").write_text(REPORT.format(room=room, seconds=seconds))
    assert slowest(sorted(tmp_path.iterdir()), count=2) == [
        Timed(7.0, "backend.test_a::test_slow[backend]"),
        Timed(3.0, "cli.test_a::test_slow[cli]"),
    ]


def test_the_report_of_a_run_that_was_stopped_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "cut.xml").write_text("<testsuites><testsuite>")
    (tmp_path / "whole.xml").write_text(REPORT.format(room="cli", seconds=3))
    assert len(slowest(sorted(tmp_path.iterdir()))) == 2
