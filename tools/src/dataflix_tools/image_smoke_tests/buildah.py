"""Building and running images with buildah, in a storage of our own, without a container engine."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dataflix_tools.image_smoke_tests.errors import ImageError

_LOG_TAIL = 3000
_STOP_TIMEOUT_S = 30


@dataclass(frozen=True)
class Container:
    """An image's files, ready to run programs in.

    Attributes:
        root: where its root folder is on this machine.
    """

    buildah: "Buildah"
    name: str
    root: Path
    config: dict[str, Any]

    def run(self, *command: str, environ: Mapping[str, str], timeout: float = 300) -> str:
        """Run a command of the image to its end, as the image's user, and return what it printed.

        Raises:
            ImageError: it failed or took too long.
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

    @contextmanager
    def service(self, *command: str, environ: Mapping[str, str], timeout: float = 180) -> Iterator[float]:
        """Run the image's own command (or `command`) until the block ends.

        Yields:
            Seconds from start until the image's health check was answered.

        Raises:
            ImageError: it died, or its health check was not answered in time.
        """
        began = time.monotonic()
        with self.running(*(command or self.command()), environ=environ) as process:
            while not self._is_healthy(environ):
                if process.poll() is not None or time.monotonic() - began > timeout:
                    what = "died" if process.poll() is not None else f"was not healthy in {timeout:.0f} s"
                    raise ImageError(f"{self.name} {what}:\n{self._log_tail(process)}")
                time.sleep(0.5)
            yield time.monotonic() - began

    def stays_up(self, *command: str, environ: Mapping[str, str], seconds: float = 10) -> None:
        """Run a command that has no health check of its own for a while.

        Raises:
            ImageError: it ended by itself.
        """
        with self.running(*command, environ=environ) as process:
            try:
                process.wait(seconds)
            except subprocess.TimeoutExpired:
                return
            raise ImageError(f"{' '.join(command)} ended by itself:\n{self._log_tail(process)}")

    def command(self) -> tuple[str, ...]:
        """Return the words the image starts with."""
        return (*(self.config.get("Entrypoint") or ()), *(self.config.get("Cmd") or ()))

    def files_of_user(self, allowed: tuple[str, ...]) -> list[str]:
        """Return files the image's user has outside `allowed`: a read-only root would have refused them."""
        user = int(str(self.config["User"]).partition(":")[0])
        found = []
        for folder, folders, files in os.walk(self.root):
            inside = "/" + str(Path(folder).relative_to(self.root)).removeprefix(".")
            folders[:] = [name for name in folders if str(Path(inside) / name) not in allowed]
            for name in files:
                path = Path(folder) / name
                if not path.is_symlink() and path.stat().st_uid == user:
                    found.append(str(Path(inside) / name))
        return found

    @contextmanager
    def running(self, *command: str, environ: Mapping[str, str]) -> Iterator[subprocess.Popen[bytes]]:
        """Run a command of the image, as the image's user, until the block ends."""
        beside = self.buildah.folder / f"{self.name}.log.new"
        with beside.open("wb") as out:
            process = subprocess.Popen(
                self._words(command, environ), stdout=out, stderr=subprocess.STDOUT, start_new_session=True
            )
        beside.rename(self._log(process))
        try:
            yield process
        finally:
            # Its own session: buildah and everything the service started, and nothing else.
            _end_group(process)

    def _log(self, process: subprocess.Popen[bytes]) -> Path:
        return self.buildah.folder / f"{self.name}-{process.pid}.log"

    def _log_tail(self, process: subprocess.Popen[bytes]) -> str:
        return self._log(process).read_text(errors="replace")[-_LOG_TAIL:]

    def _is_healthy(self, environ: Mapping[str, str]) -> bool:
        kind, *check = self.config["Healthcheck"]["Test"]
        if kind != "CMD":
            raise ImageError(f"{self.name}: its health check is no plain command: {kind}")
        return (
            subprocess.run(self._words(tuple(check), environ), capture_output=True, check=False).returncode
            == 0
        )

    def _words(self, command: tuple[str, ...], environ: Mapping[str, str]) -> list[str]:
        options = [word for name, value in environ.items() for word in ("--env", f"{name}={value}")]
        return self.buildah.words("run", "--isolation", "chroot", *options, self.name, "--", *command)


class Buildah:
    """One storage of images and containers below a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def words(self, *words: str) -> list[str]:
        """Return a whole command line of buildah."""
        storage = ("--root", str(self.folder / "storage"), "--runroot", str(self.folder / "run"))
        return ["buildah", *storage, *words]

    def output(self, *words: str) -> str:
        """Run buildah to its end and return what it printed.

        Raises:
            ImageError: it failed.
        """
        # Its caches too: otherwise they stay behind in the system's own folder.
        environ = os.environ | {"TMPDIR": str(self.folder)}
        result = subprocess.run(self.words(*words), env=environ, capture_output=True, text=True, check=False)
        if result.returncode != 0:
            raise ImageError(f"buildah {words[0]} failed:\n{(result.stdout + result.stderr)[-_LOG_TAIL:]}")
        return result.stdout.strip()

    def build(
        self, image: str, dockerfile: Path, context: Path, *, base: str, pip: Path, seen: list[Path]
    ) -> None:
        """Build an image.

        Args:
            base: what stands in for the base image.
            pip: pip's settings, given as a secret.
            seen: files and folders of this machine that the build sees at the same place, read-only.

        Raises:
            ImageError: it did not build.
        """
        volumes = [word for place in seen for word in ("--volume", f"{place}:{place}:ro")]
        self.output(
            *("bud", "--isolation", "chroot", "--network", "host", "--format", "docker", "--tag", image),
            *("--build-arg", f"BASE_IMAGE={base}", "--secret", f"id=pip,src={pip}", *volumes),
            *("--file", str(dockerfile), str(context)),
        )

    @contextmanager
    def container(self, image: str) -> Iterator[Container]:
        """Make a container of an image, and delete it when the block ends."""
        name = self.output("from", image)
        try:
            root = Path(self.output("mount", name))
            config = json.loads(self.output("inspect", "--type", "container", name))["Docker"]["config"]
            yield Container(self, name, root, config)
        finally:
            self.output("rm", name)

    def size(self, image: str) -> int:
        """Return the bytes of an image's files, its base included."""
        with self.container(image) as container:
            counted = subprocess.run(
                ["du", "--summarize", "--block-size=1", str(container.root)],
                capture_output=True,
                text=True,
                check=True,
            )
        return int(counted.stdout.split()[0])


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
