"""A test that cannot run says so and does not count as passed; the settings of pip stay private."""

import os
import stat
import subprocess
from pathlib import Path

import pytest

from dataflix_tools.image_smoke_tests import host
from dataflix_tools.image_smoke_tests.errors import NotRunError

ROOT = Path(__file__).resolve().parents[3]


def test_without_the_programs_nothing_is_claimed(tmp_path: Path) -> None:
    environ = {"PATH": str(tmp_path)}
    command = [str(ROOT / ".venv" / "bin" / "python"), "-m", "dataflix_tools.image_smoke_tests"]
    result = subprocess.run(command, env=environ, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert result.returncode == 77
    assert result.stderr.startswith("not run: ")
    assert result.stdout == ""


def test_a_failing_installation_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "apt-get").write_text("#!/bin/sh\necho no network >&2\nexit 100\n")
    (tmp_path / "apt-get").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path) + ":/bin")
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(host, "PROGRAMS", ("no-such-program",))
    with pytest.raises(NotRunError, match="apt-get update failed: no network"):
        host.ensure()


def test_an_ordinary_user_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(NotRunError, match="only be made by root"):
        host.ensure()


def test_pips_settings_go_into_a_private_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("PIP_")] + ["SSL_CERT_FILE"]:
        monkeypatch.delenv(name, raising=False)
    wheels, certificates = tmp_path / "wheels", tmp_path / "ca.crt"
    wheels.mkdir()
    certificates.touch()
    (tmp_path / "mirror").mkdir()
    settings = (
        f"[global]\nfind-links = {wheels}\ncert = {certificates}\ntimeout = 7\nproxy = http://proxy.test:1\n"
        f"index-url = file://{tmp_path}/mirror/simple/\n"
    )
    (tmp_path / "theirs.conf").write_text(settings)
    monkeypatch.setenv("PIP_CONFIG_FILE", str(tmp_path / "theirs.conf"))
    ours = tmp_path / "ours.conf"
    seen = host.write_pip_settings(ours)
    text = ours.read_text()
    assert "proxy = http://proxy.test:1\n" in text
    assert f"cert = {certificates}\n" in text
    assert "timeout" not in text
    assert {wheels, certificates, tmp_path / "mirror"} <= set(seen)
    assert stat.S_IMODE(ours.stat().st_mode) == 0o600
