"""Confines this process to the files that it needs, with Landlock, so that no statement reaches any other.

Grants and the statement policy keep statements away from files. This is what holds if a statement gets past
them: the kernel refuses everything but the data folder, and libraries to read, to root as to every account.
"""

import logging
import os
import sys
import sysconfig
from collections.abc import Iterable
from pathlib import Path

import landlockpy
from landlockpy import AccessFS, AccessNet, LandlockError, RestrictFlag

import dataflix_common

log = logging.getLogger(__name__)

# The first version that lets a process move files from one folder to another, as the engine does with parts.
_FIRST_USABLE_ABI = 2
_READ = AccessFS.READ_FILE | AccessFS.READ_DIR
_USE = (
    _READ
    | AccessFS.WRITE_FILE
    | AccessFS.TRUNCATE
    | AccessFS.MAKE_DIR
    | AccessFS.MAKE_REG
    | AccessFS.MAKE_SYM
    | AccessFS.REMOVE_DIR
    | AccessFS.REMOVE_FILE
    | AccessFS.REFER
)
# Not /proc, whose environ and mem of this process show the passwords of all accounts. Opening a pipe by its
# /dev/fd needs no rule.
_READABLE = (
    *("/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/local/lib", "/usr/share/zoneinfo"),
    # Limits of memory and cores.
    *("/sys/fs/cgroup", "/sys/devices/system", "/sys/kernel/mm/transparent_hugepage", "/dev/urandom"),
    *("/proc/self/maps", "/proc/self/auxv", "/proc/sys/vm/overcommit_memory"),
    # Names of hosts, and the time zone.
    *("/etc/hosts", "/etc/host.conf", "/etc/nsswitch.conf", "/etc/resolv.conf", "/etc/gai.conf"),
    *("/etc/ld.so.cache", "/etc/localtime", "/etc/timezone", "/etc/ssl/openssl.cnf", "/etc/ssl/certs"),
)


def confine(data_dir: Path, readable: Iterable[Path] = ()) -> bool:
    """Take from this thread, and from all that it starts, every file but those of the server.

    Call it before the engine is imported: that starts threads, which would not be confined.

    Args:
        data_dir: the folder that the server reads and writes.
        readable: more files and folders to read.

    Returns:
        Whether it is confined. If the kernel does not offer it, the log says so.
    """
    temporary = data_dir / "tmp"
    temporary.mkdir(exist_ok=True)
    try:
        abi = landlockpy.abi_version()
        if abi < _FIRST_USABLE_ABI:
            log.warning("not confined to own files: this needs Linux 5.19 or later with Landlock abi=%d", abi)
            return False
        with landlockpy.Ruleset(handled_net=AccessNet.NONE) as rules:
            rules.allow_path(data_dir, _USE)
            rules.allow_path(os.devnull, AccessFS.READ_FILE | AccessFS.WRITE_FILE)
            for path in (*map(Path, _READABLE), *_python_folders(), *readable):
                if path.exists():
                    # A file has no entries to list.
                    rules.allow_path(path, _READ if path.is_dir() else AccessFS.READ_FILE)
            # The engine asks for its schedstat in each thread; the kernel's log would be full of that.
            rules.restrict(RestrictFlag.LOG_SAME_EXEC_OFF)
    except LandlockError as error:
        log.warning("not confined to own files: the kernel refuses it error=%s", error.strerror)
        return False
    # The engine makes a temporary folder where this says.
    os.environ["TMPDIR"] = str(temporary)
    log.info("confined to own files abi=%d", abi)
    return True


def _python_folders() -> set[Path]:
    """Return the folders of modules: not those on sys.path, which may have the folder of a `.env`."""
    installed = {Path(sysconfig.get_path(name)) for name in ("stdlib", "platstdlib", "purelib", "platlib")}
    installed.add(Path(sys.base_prefix) / "lib")
    return installed | {Path(__file__).parent, Path(str(dataflix_common.__file__)).parent}
