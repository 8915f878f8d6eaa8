"""`python -m image_proof [IMAGE...]`: what `scripts/prove_images.sh` calls."""

import argparse
import signal
import sys
import tempfile
import time
from pathlib import Path

from image_proof import base, tools
from image_proof.around import surroundings
from image_proof.buildah import Buildah
from image_proof.errors import NotRunError, ProofError
from image_proof.proofs import IMAGES, Image, stray_files
from image_proof.together import prove_together

ROOT = Path(__file__).resolve().parents[2]

# As the test runners that tell a skipped test from a passed one have it.
EXIT_NOT_RUN = 77

_NAMES = [image.name for image in IMAGES]
# All of them at once; the images have to be in the work folder already, or be proven before.
_TOGETHER = "together"


def main() -> None:
    """Prove the named images, or all; exit 0 proven, 1 not, 77 not run."""
    arguments = _parser().parse_args()
    wanted = arguments.images or [*_NAMES, _TOGETHER]
    if unknown := set(wanted) - {*_NAMES, _TOGETHER}:
        sys.exit(f"prove_images: no image is called {', '.join(sorted(unknown))}")
    # Told to end, it ends what it started first.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("prove_images: ended"))
    try:
        tools.ensure()
        if arguments.work:
            arguments.work.mkdir(parents=True, exist_ok=True)
            _prove(wanted, arguments.work.absolute())
        else:
            with tempfile.TemporaryDirectory(prefix="dataflix-images-") as folder:
                _prove(wanted, Path(folder))
    except NotRunError as error:
        print(f"not run: {error}. No image was built, none was started.", file=sys.stderr)
        sys.exit(EXIT_NOT_RUN)
    except ProofError as error:
        sys.exit(f"prove_images: {error}")


def _prove(wanted: list[str], folder: Path) -> None:
    buildah = Buildah(folder)
    began = time.monotonic()
    base.make(buildah)
    base_size = buildah.size(base.NAME)
    print(f"stand-in base: {base_size >> 20} MiB, ready after {time.monotonic() - began:.0f} s", flush=True)
    pip = folder / "pip.conf"
    seen = tools.write_pip_settings(pip)
    try:
        for image in (image for image in IMAGES if image.name in wanted):
            size, done = _prove_one(image, buildah, pip, seen)
            print(f"{image.name}: {(size - base_size) >> 20} MiB above its base; {done}", flush=True)
        if _TOGETHER in wanted:
            with surroundings() as values:
                print(f"together: {prove_together(buildah, values)}", flush=True)
    finally:
        pip.unlink()


def _prove_one(image: Image, buildah: Buildah, pip: Path, seen: list[Path]) -> tuple[int, str]:
    began = time.monotonic()
    tag = f"localhost/{image.name}"
    buildah.build(tag, ROOT / image.dockerfile, ROOT, base=base.NAME, pip=pip, seen=seen)
    built = time.monotonic() - began
    with surroundings() as values, buildah.container(tag) as container:
        done = image.prove(container, values)
        if strays := stray_files(container):
            raise ProofError(f"{image.name} wrote where its root is read-only: {', '.join(strays[:5])}")
    return buildah.size(tag), f"built in {built:.0f} s; {done}"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="scripts/prove_images.sh",
        description="Build our images on a stand-in base and start each, without a container engine.",
        epilog="Exit codes: 0 all proven, 1 an image failed, 77 not run (the reason is printed).",
    )
    names = ", ".join(_NAMES)
    parser.add_argument(
        "images",
        nargs="*",
        metavar="IMAGE",
        help=f"{names}, or {_TOGETHER} for a run of all; default: everything",
    )
    parser.add_argument("--work", type=Path, metavar="FOLDER", help="keep base, caches and images here")
    return parser


if __name__ == "__main__":
    main()
