"""A fake `docker` that records its calls and answers as a test wants."""

import json
import os
import stat
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

_FAKE_DOCKER = """
import json, os, sys
from pathlib import Path
here = Path(__file__).parent
words = sys.argv[1:]
if words[:2] == ["compose", "--env-file"]:
    words = ["compose", *words[3:]]
with (here / "calls").open("a") as calls:
    seen = {name: value for name, value in os.environ.items() if name.startswith("DATAFLIX_")}
    calls.write(json.dumps({"argv": sys.argv[1:], "dataflix": seen,
                            "compose_file": os.environ.get("COMPOSE_FILE")}) + "\\n")
for begin, code, out, err in json.loads((here / "answers").read_text()):
    if words[: len(begin)] == begin:
        sys.stdout.write(out)
        sys.stderr.write(err)
        sys.exit(code)
"""


_WELL: list[tuple[list[str], int, str, str]] = [
    (["compose", "version"], 0, "2.39.1\n", ""),
    (["info"], 0, "28.2.2\n", ""),
]


@dataclass
class FakeDocker:
    """The answers of the fake `docker`, and its recorded calls."""

    folder: Path

    def answers(self, *answers: tuple[list[str], int, str, str]) -> None:
        (self.folder / "answers").write_text(json.dumps([*answers, *_WELL]))

    @property
    def asked(self) -> list[str]:
        """The arguments of each call in one string, without the name of the env file."""
        calls = [call["argv"] for call in self.calls]
        return [" ".join(words[3:] if words[1:2] == ["--env-file"] else words) for words in calls]

    @property
    def calls(self) -> list[dict[str, Any]]:
        record = self.folder / "calls"
        return [json.loads(line) for line in record.read_text().splitlines()] if record.exists() else []

    def container(self, service: str, state: str = "running", health: str = "healthy", code: int = 0) -> str:
        """Return the line of `docker compose ps` for one container."""
        return json.dumps(
            {"Service": service, "State": state, "Health": health, "ExitCode": code, "Name": "x"}
        )


@pytest.fixture
def docker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeDocker:
    program = tmp_path / "bin" / "docker"
    program.parent.mkdir()
    # Isolated, for its start is most of what it costs.
    program.write_text(f"#!{sys.executable} -ISE\n{_FAKE_DOCKER}")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    fake_docker = FakeDocker(program.parent)
    fake_docker.answers()
    return fake_docker
