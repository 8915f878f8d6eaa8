"""`python -m dataflix_tools.image_smoke_tests [IMAGE...]`: what `scripts/test_images.sh` calls."""

import argparse
import signal
import sys
import tempfile
import time
from pathlib import Path

from dataflix_tools.image_smoke_tests import base, host
from dataflix_tools.image_smoke_tests.buildah import Buildah
from dataflix_tools.image_smoke_tests.errors import ImageError, NotRunError
from dataflix_tools.image_smoke_tests.images import IMAGES, Image, stray_files
from dataflix_tools.image_smoke_tests.pipeline import check_pipeline
from dataflix_tools.image_smoke_tests.services import backing_services

ROOT = Path(__file__).resolve().parents[4]

# As the test runners that tell a skipped test from a passed one have it.
EXIT_NOT_RUN = 77

_NAMES = [image.name for image in IMAGES]
# All of them at once; the images have to be in the work folder already, or be proven before.
_PIPELINE = "together"


def main() -> None:
    """Prove the named images, or all; exit 0 proven, 1 not, 77 not run."""
    arguments = _parser().parse_args()
    wanted = arguments.images or [*_NAMES, _PIPELINE]
    if unknown := set(wanted) - {*_NAMES, _PIPELINE}:
        sys.exit(f"test_images: no image is called {', '.join(sorted(unknown))}")
    # Told to end, it ends what it started first.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("test_images: ended"))
    try:
        host.ensure()
        if arguments.work:
            arguments.work.mkdir(parents=True, exist_ok=True)
            _test_images(wanted, arguments.work.absolute())
        else:
            with tempfile.TemporaryDirectory(prefix="dataflix-images-") as folder:
                _test_images(wanted, Path(folder))
    except NotRunError as error:
        print(f"not run: {error}. No image was built, none was started.", file=sys.stderr)
        sys.exit(EXIT_NOT_RUN)
    except ImageError as error:
        sys.exit(f"test_images: {error}")


def _test_images(wanted: list[str], folder: Path) -> None:
    buildah = Buildah(folder)
    began = time.monotonic()
    base.make(buildah)
    base_size = buildah.size(base.NAME)
    print(f"stand-in base: {base_size >> 20} MiB, ready after {time.monotonic() - began:.0f} s", flush=True)
    pip = folder / "pip.conf"
    seen = host.write_pip_settings(pip)
    try:
        for image in (image for image in IMAGES if image.name in wanted):
            size, done = _test_image(image, buildah, pip, seen)
            print(f"{image.name}: {(size - base_size) >> 20} MiB above its base; {done}", flush=True)
        if _PIPELINE in wanted:
            with backing_services() as values:
                print(f"together: {check_pipeline(buildah, values)}", flush=True)
    finally:
        pip.unlink()


def _test_image(image: Image, buildah: Buildah, pip: Path, seen: list[Path]) -> tuple[int, str]:
    began = time.monotonic()
    tag = f"localhost/{image.name}"
    buildah.build(tag, ROOT / image.dockerfile, ROOT, base=base.NAME, pip=pip, seen=seen)
    built = time.monotonic() - began
    with backing_services() as values, buildah.container(tag) as container:
        done = image.prove(container, values)
        if strays := stray_files(container):
            raise ImageError(f"{image.name} wrote where its root is read-only: {', '.join(strays[:5])}")
    return buildah.size(tag), f"built in {built:.0f} s; {done}"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="scripts/test_images.sh",
        description="Build our images on a stand-in base and start each, without a container engine.",
        epilog="Exit codes: 0 all proven, 1 an image failed, 77 not run (the reason is printed).",
    )
    names = ", ".join(_NAMES)
    parser.add_argument(
        "images",
        nargs="*",
        metavar="IMAGE",
        help=f"{names}, or {_PIPELINE} for a run of all; default: everything",
    )
    parser.add_argument("--work", type=Path, metavar="FOLDER", help="keep base, caches and images here")
    return parser


if __name__ == "__main__":
    main()
