"""The programs that the tests need on this machine, and its settings of pip."""

import ast
import os
import shutil
import subprocess
from pathlib import Path

from dataflix_tools.image_smoke_tests.errors import NotRunError

PROGRAMS = ("buildah", "debootstrap", "docker-compose")

# The settings of pip that say where packages come from; a build needs no others.
_PIP_SETTINGS = ("index-url", "extra-index-url", "find-links", "trusted-host", "proxy", "no-index")


def ensure() -> None:
    """Install missing programs with apt-get.

    Raises:
        NotRunError: the user is not root, or a program is missing and cannot be installed.
    """
    if os.geteuid() != 0:
        raise NotRunError("a base image can only be made by root (debootstrap)")
    missing = [program for program in PROGRAMS if shutil.which(program) is None]
    if not missing:
        return
    if shutil.which("apt-get") is None:
        raise NotRunError(f"{' and '.join(missing)} missing, and there is no apt-get to install with")
    for words in (["update"], ["install", "--yes", "--no-install-recommends", *missing]):
        result = subprocess.run(["apt-get", "-qq", *words], capture_output=True, text=True, check=False)
        if result.returncode != 0:
            raise NotRunError(f"apt-get {words[0]} failed: {result.stderr.strip()[-500:]}")


def write_pip_settings(path: Path) -> list[Path]:
    """Write this machine's settings of pip into a file (mode 600) that a build mounts as a secret.

    Returns:
        The files and folders that those settings name; a build must see them at the same place.

    Raises:
        NotRunError: this machine has no pip.
    """
    listed = subprocess.run(
        ["python3", "-m", "pip", "config", "list"], capture_output=True, text=True, check=False
    )
    if listed.returncode != 0:
        raise NotRunError("python3 has no pip, so the package index to use is not known")
    settings: dict[str, str] = {}
    certificates = [os.environ[name] for name in ("PIP_CERT", "SSL_CERT_FILE") if os.environ.get(name)]
    for line in listed.stdout.splitlines():
        key, _, value = line.partition("=")
        # "global.index-url", "user.index-url", ":env:.index-url"; later files win over earlier ones.
        name, text = key.rpartition(".")[2], str(ast.literal_eval(value))
        if name == "cert":
            certificates.append(text)
        elif name in _PIP_SETTINGS:
            settings[name] = text
    if certificates:
        settings["cert"] = certificates[0]
    path.touch(mode=0o600)
    indented = {name: "\n    ".join(value.split()) for name, value in settings.items()}
    path.write_text("[global]\n" + "".join(f"{name} = {value}\n" for name, value in indented.items()))
    words = [word for value in settings.values() for word in value.split()]
    # The pages of an index in a folder lead to files next to that folder.
    indexes = [Path(word.removeprefix("file://").rstrip("/")).parent for word in words if "file://" in word]
    named = [Path(word) for word in words if word.startswith("/")] + indexes
    return [place for place in dict.fromkeys(named) if place.exists() and place != Path("/")]
