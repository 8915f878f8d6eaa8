"""Builds and runs images with buildah in a storage of our own, without a container engine."""

import json
import os
import secrets
import shlex
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from dataflix_tools.image_smoke_tests.errors import ImageError

_LOG_TAIL = 3000
_STOP_TIMEOUT_S = 30


@dataclass(frozen=True)
class Container:
    """A container of an image, whose programs can be run.

    Attributes:
        buildah: the storage that it is in.
        name: its name there.
        root: its root folder on this machine.
        config: the image's configuration, as Docker writes it.
    """

    buildah: "Buildah"
    name: str
    root: Path
    config: dict[str, Any]

    def run(self, *command: str, environ: Mapping[str, str], timeout: float = 300) -> str:
        """Run a command to its end as the image's user, and return its output.

        Raises:
            ImageError: the command failed or took too long.
        """
        words = self._words(command, environ)
        try:
            result = subprocess.run(
                words,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                timeout=timeout,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise ImageError(f"{' '.join(command)} did not end within {timeout:.0f} s") from error
        if result.returncode != 0:
            raise ImageError(f"{' '.join(command)} failed:\n{result.stdout[-_LOG_TAIL:]}")
        return result.stdout

    def wait_until_healthy(
        self, process: "subprocess.Popen[bytes]", environ: Mapping[str, str], timeout: float = 300
    ) -> None:
        """Wait until the image's health check passes.

        Args:
            process: the server, which `running` has started.
            environ: variables of the health check.
            timeout: seconds; the start of several servers shares two cores.

        Raises:
            ImageError: the server ended, or its health check did not pass in time.
        """
        # Not a plain retry: a server that has ended ends the wait early.
        began = time.monotonic()
        while not self._is_healthy(environ):
            if process.poll() is not None or time.monotonic() - began > timeout:
                what = "ended" if process.poll() is not None else f"was not healthy in {timeout:.0f} s"
                raise ImageError(f"{self.name} {what}:\n{self.log_tail(process)}")
            time.sleep(0.5)

    def check_keeps_running(self, *command: str, environ: Mapping[str, str], seconds: float = 10) -> None:
        """Run a command that has no health check for a while.

        Raises:
            ImageError: it ended.
        """
        with self.running(*command, environ=environ) as process:
            try:
                process.wait(seconds)
            except subprocess.TimeoutExpired:
                return
            raise ImageError(f"{' '.join(command)} ended:\n{self.log_tail(process)}")

    def command(self) -> tuple[str, ...]:
        """Return the command that the image starts with."""
        return (*(self.config.get("Entrypoint") or ()), *(self.config.get("Cmd") or ()))

    def files_outside(self, writable: tuple[str, ...]) -> list[str]:
        """Return the files outside of `writable` that the image's user owns: it has written them.

        With the read-only root of Compose, writing them would have failed.
        """
        user = str(self.config["User"]).partition(":")[0]
        skipped = [word for folder in writable for word in ("-path", f"{self.root}{folder}", "-o")][:-1]
        # find is several times as fast as os.walk on the 60,000 files of an image.
        command = ["find", str(self.root), "(", *skipped, ")", "-prune", "-o", "-type", "f", "-user", user]
        found = subprocess.run([*command, "-print"], capture_output=True, text=True, check=True)
        return [line.removeprefix(str(self.root)) for line in found.stdout.splitlines()]

    def size(self) -> int:
        """Return the bytes of its files, those of the base image included."""
        command = ["du", "--summarize", "--block-size=1", str(self.root)]
        counted = subprocess.run(command, capture_output=True, text=True, check=True)
        return int(counted.stdout.split()[0])

    @contextmanager
    def running(self, *command: str, environ: Mapping[str, str]) -> Iterator[subprocess.Popen[bytes]]:
        """Run a command of the image, as the image's user, until the block ends."""
        log = self.buildah.folder / f"{self.name}-{secrets.token_hex(4)}.log"
        with log.open("wb") as out:
            process = subprocess.Popen(
                self._words(command, environ), stdout=out, stderr=subprocess.STDOUT, start_new_session=True
            )
        log.rename(self._log(process))
        try:
            yield process
        finally:
            # The process has a session of its own: this ends buildah and all that it started, nothing else.
            _end_group(process)

    def _log(self, process: subprocess.Popen[bytes]) -> Path:
        return self.buildah.folder / f"{self.name}-{process.pid}.log"

    def log_tail(self, process: subprocess.Popen[bytes]) -> str:
        """Return the end of what a process has printed."""
        return self._log(process).read_text(errors="replace")[-_LOG_TAIL:]

    def _is_healthy(self, environ: Mapping[str, str]) -> bool:
        kind, *check = self.config["Healthcheck"]["Test"]
        if kind != "CMD":
            raise ImageError(f"{self.name}: its health check is not a plain command: {kind}")
        return (
            subprocess.run(self._words(tuple(check), environ), capture_output=True, check=False).returncode
            == 0
        )

    def _words(self, command: tuple[str, ...], environ: Mapping[str, str]) -> list[str]:
        options = [word for name, value in environ.items() for word in ("--env", f"{name}={value}")]
        return self.buildah.words("run", "--isolation", "chroot", *options, self.name, "--", *command)


class Buildah:
    """A storage of images and containers in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def words(self, *words: str) -> list[str]:
        """Return a command line of buildah."""
        storage = ("--root", str(self.folder / "storage"), "--runroot", str(self.folder / "run"))
        return ["buildah", *storage, *words]

    def output(self, *words: str) -> str:
        """Run buildah to its end and return its output.

        Raises:
            ImageError: it failed.
        """
        # Its caches belong into this folder too, not into the system's folder for temporary files.
        environ = os.environ | {"TMPDIR": str(self.folder)}
        result = subprocess.run(self.words(*words), env=environ, capture_output=True, text=True, check=False)
        if result.returncode != 0:
            raise ImageError(
                f"buildah {shlex.join(words)} failed:\n{(result.stdout + result.stderr)[-_LOG_TAIL:]}"
            )
        return result.stdout.strip()

    def image_id(self, image: str) -> str | None:
        """Return the id of a named image; None if the storage does not have it."""
        for line in self.output("images", "--no-trunc", "--format", "{{.Name}} {{.ID}}").splitlines():
            # buildah aligns the columns with spaces.
            name, identifier = line.split()
            if name == image:
                return identifier
        return None

    def build(
        self, image: str, dockerfile: Path, context: Path, *, base: str, pip: Path, seen: list[Path]
    ) -> None:
        """Build an image; a step whose inputs have not changed since an earlier build is not run again.

        Args:
            image: its name.
            dockerfile: the file to build from.
            context: the folder that the build may read.
            base: the image that takes the place of the base image.
            pip: pip's settings, given as a secret.
            seen: files and folders of this machine that the build sees at the same place, read-only.

        Raises:
            ImageError: the build failed.
        """
        volumes = [word for place in seen for word in ("--volume", f"{place}:{place}:ro")]
        before = self.image_id(image)
        self.output(
            *("bud", "--isolation", "chroot", "--network", "host", "--format", "docker", "--tag", image),
            *("--build-arg", f"BASE_IMAGE={base}", "--secret", f"id=pip,src={pip}", *volumes),
            *(f"--layers={self._keeps_steps}", "--file", str(dockerfile), str(context)),
        )
        if before not in (None, self.image_id(image)):
            self.output("rmi", "--force", str(before))

    @cached_property
    def _keeps_steps(self) -> str:
        # Other drivers than overlay copy the whole image for each step that they keep.
        return str(json.loads(self.output("info"))["store"]["GraphDriverName"] == "overlay").lower()

    def remove_containers(self) -> None:
        """Remove the containers that an interrupted run has left.

        Raises:
            ImageError: buildah failed.
        """
        self.output("rm", "--all")

    @contextmanager
    def container(self, image: str) -> Iterator[Container]:
        """Make a container of an image and remove it when the block ends."""
        name = self.output("from", image)
        try:
            root = Path(self.output("mount", name))
            config = json.loads(self.output("inspect", "--type", "container", name))["Docker"]["config"]
            yield Container(self, name, root, config)
        finally:
            self.output("rm", name)


def _end_group(process: subprocess.Popen[bytes]) -> None:
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, number)
        except ProcessLookupError:
            return
        try:
            process.wait(_STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            continue
