"""`python -m dataflix_tools.image_smoke_tests [IMAGE...]`: what `scripts/test_images.sh` runs."""

import argparse
import signal
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

from dataflix_common.command_end import run_to_end
from dataflix_tools.image_smoke_tests import base, host
from dataflix_tools.image_smoke_tests.buildah import Buildah, Container
from dataflix_tools.image_smoke_tests.errors import ImageError, NotRunError
from dataflix_tools.image_smoke_tests.images import IMAGES, Image, Values, check_written_files
from dataflix_tools.image_smoke_tests.pipeline import check_pipeline
from dataflix_tools.image_smoke_tests.services import backing_services, with_free_ports
from dataflix_tools.image_smoke_tests.storage import default_folder, storage

# The exit code by which test runners tell a skipped test from a passed one.
EXIT_NOT_RUN = 77

_NAMES = [image.name for image in IMAGES]


def main() -> None:
    """Test the named images, or all; exit with 0 if they work, 1 if one does not, 77 if nothing was run."""
    arguments = _parser().parse_args()
    wanted = arguments.images or _NAMES
    if unknown := set(wanted) - set(_NAMES):
        sys.exit(
            f"test_images: no image is called {', '.join(sorted(unknown))}; there are {', '.join(_NAMES)}"
        )
    # A terminated run first ends the programs that it has started.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("test_images: terminated"))
    try:
        host.ensure()
        with storage((arguments.work or default_folder()).absolute()) as buildah:
            _test([image for image in IMAGES if image.name in wanted], buildah)
    except NotRunError as error:
        print(f"not run: {error}. No image was built, none was started.", file=sys.stderr)
        sys.exit(EXIT_NOT_RUN)
    except ImageError as error:
        sys.exit(f"test_images: {error}")


def _test(images: list[Image], buildah: Buildah) -> None:
    """Build the images and test each as soon as it is built; run the pipeline if all are there.

    Raises:
        NotRunError: the stand-in for the base image cannot be made.
        ImageError: an image did not build, start or work.
    """
    began = time.monotonic()
    base.make(buildah)
    with buildah.container(base.NAME) as container:
        base_size = container.size()
    print(f"stand-in base: {base_size >> 20} MiB, ready after {time.monotonic() - began:.0f} s", flush=True)
    pip = buildah.folder / "pip.conf"
    seen = host.write_pip_settings(pip)
    # One build after the other, as they share steps; each image's jobs run while the next one is built.
    builder = ThreadPoolExecutor(1)
    try:
        builds = [(image, builder.submit(_build, image, buildah, pip, seen)) for image in images]
        with backing_services() as values, ExitStack() as stack:
            containers: dict[str, Container] = {}
            for image, build in builds:
                built_in = build.result()
                container = stack.enter_context(buildah.container(image.tag))
                containers[image.name] = container
                size = (container.size() - base_size) >> 20
                print(f"{image.name}: {size} MiB above its base, built in {built_in:.0f} s", flush=True)
                image.check_jobs(container, values)
            moved = with_free_ports(values)
            _start(images, containers, moved, stack)
            if len(images) == len(IMAGES):
                print(check_pipeline(containers, moved), flush=True)
            for container in containers.values():
                check_written_files(container)
    finally:
        builder.shutdown(cancel_futures=True)
        pip.unlink(missing_ok=True)


def _build(image: Image, buildah: Buildah, pip: Path, seen: list[Path]) -> float:
    began = time.monotonic()
    image.build(buildah, pip, seen)
    return time.monotonic() - began


def _start(images: list[Image], containers: dict[str, Container], values: Values, stack: ExitStack) -> None:
    """Start all programs at once, wait until the servers are healthy, and check their answers."""
    began = time.monotonic()
    servers = []
    for image in images:
        container = containers[image.name]
        for program in image.programs(values):
            command = program.command or container.command()
            process = stack.enter_context(container.running(*command, environ=program.environ))
            if program.has_health_check:
                servers.append((container, process, program.environ))
    for container, process, environ in servers:
        container.wait_until_healthy(process, environ)
        print(f"{container.name}: healthy after {time.monotonic() - began:.0f} s", flush=True)
    for image in images:
        image.check_server(values)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="scripts/test_images.sh",
        description="Build our images on a stand-in base and start them, without a container engine.",
        epilog="Exit codes: 0 all work, 1 an image does not, 77 not run (the reason is printed).",
    )
    parser.add_argument(
        "images",
        nargs="*",
        metavar="IMAGE",
        help=f"{', '.join(_NAMES)}; default: all, and a run of the pipeline in them",
    )
    parser.add_argument(
        "--work",
        type=Path,
        metavar="FOLDER",
        help=f"keep images and build steps here; default: {default_folder()}",
    )
    return parser


if __name__ == "__main__":
    sys.exit(run_to_end(main, "test_images"))
