"""Makes the stand-in for the base image: Debian with its own Python, of the same minor version."""

import shutil
import subprocess

from dataflix_tools.image_smoke_tests.buildah import Buildah
from dataflix_tools.image_smoke_tests.errors import NotRunError

NAME = "localhost/dataflix-stand-in"

# Debian 12 has Python 3.11, as the base image that our Dockerfiles name.
_RELEASE = "bookworm"
_PACKAGES = "python3,python3-venv,python3-pip,ca-certificates"


def make(buildah: Buildah) -> None:
    """Make the image unless the storage has it.

    Raises:
        NotRunError: Debian's packages cannot be downloaded.
    """
    if buildah.image_id(NAME) is not None:
        return
    tree = buildah.folder / "base"
    shutil.rmtree(tree, ignore_errors=True)
    command = ["debootstrap", "--variant=minbase", f"--include={_PACKAGES}", _RELEASE, str(tree)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode != 0:
        raise NotRunError(f"debootstrap failed: {result.stdout.strip()[-500:]}")
    container = buildah.output("from", "scratch")
    buildah.output("add", "--quiet", container, str(tree), "/")
    buildah.output("config", "--cmd", "python3", container)
    buildah.output("commit", "--quiet", "--rm", "--format", "docker", container, NAME)
    subprocess.run(["rm", "-rf", str(tree)], check=True)
