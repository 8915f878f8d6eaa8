"""The command `scripts/ops.py`."""

import argparse
import os
import signal
import sys
from pathlib import Path

from dataflix_common import argument_types
from dataflix_common.files import check_replaceable, replace_file
from dataflix_ops.erasure_certificate import signature
from dataflix_ops.erasure_certificate.certificate import issue, summary
from dataflix_ops.erasure_certificate.errors import CertificateError
from dataflix_ops.erasure_certificate.warehouses import Warehouse
from dataflix_ops.postgres_session import administrator
from dataflix_stack.config import settings as stack_settings
from dataflix_stack.config.settings import Settings
from dataflix_stack.errors import StackError
from dataflix_stack.progress import say

_KEY = "MODEL_PROMOTION_KEY"
# Of a bigint, as Postgres numbers erasures.
_MAX_NUMBER = 2**63 - 1
# Certificates have some 5 kB; a wrong file may be a data set.
_MAX_CERTIFICATE_BYTES = 1 << 20
_ISSUE = """Print a signed certificate of an erasure, as JSON. It names nobody.

The command trains twice: on the warehouse, and on a new one that holds the present rows alone and
has never held anything else. Only if every byte of both models is the same, and every user of the
warehouse is in Postgres, does it sign. The stack must run, and no pipeline run meanwhile.
"""
_VERIFY = """Check the signature of a certificate, and print what it says.

Without --public-key, the key in .env must have signed it. Who has no .env needs the public key from
a source that they trust; the one in the file proves nothing.
"""


def main() -> None:
    """Run the command line; exit 1 with one sentence on failure."""
    arguments = _parser().parse_args()
    # Ended like this, too, it stops the second ClickHouse and removes its files.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        if arguments.command == "erasure-certificate":
            _issue(arguments.erasure_id, arguments.output)
        else:
            _verify(arguments.file, arguments.public_key)
    except (CertificateError, StackError) as error:
        sys.exit(f"ops {arguments.command}: {error}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="ops.py", description="Operate a Dataflix stack.")
    commands = parser.add_subparsers(dest="command", required=True)
    issuing = commands.add_parser(
        "erasure-certificate",
        help="print a signed certificate of an erasure",
        description=_ISSUE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    issuing.add_argument("erasure_id", type=_number, metavar="ID", help="number of the erasure")
    issuing.add_argument(
        "--output", type=argument_types.path, metavar="FILE", help="write it to a file of mode 600"
    )
    verifying = commands.add_parser(
        "verify-certificate",
        help="check the signature of a certificate",
        description=_VERIFY,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    verifying.add_argument("file", type=argument_types.path, metavar="FILE", help="the certificate")
    verifying.add_argument("--public-key", metavar="HEX", help="64 hexadecimal digits; default: that of .env")
    return parser


def _issue(erasure_id: int, output: Path | None) -> None:
    settings = stack_settings.load(create=False)
    # Before two trainings: a key of another form cannot sign.
    public_key = signature.public_key(settings[_KEY])
    if output is not None:
        _check_output(output)
    with administrator(
        host=settings["POSTGRES_HOST"],
        port=settings.port("POSTGRES"),
        dbname=settings["POSTGRES_DB"],
        password=settings["POSTGRES_ADMIN_PASSWORD"],
        error=CertificateError,
        readonly=True,
    ) as connection:
        certificate = issue(erasure_id, connection, _warehouse(settings), say, folder=settings.home / "tmp")
    text = signature.sign(certificate, settings[_KEY])
    if output is None:
        sys.stdout.write(text)
        return
    try:
        replace_file(output, text)
    except OSError as error:
        raise CertificateError(f"{output} can't be written: {error.strerror}") from error
    say(f"{output}: signed; verify it with the public key {public_key}")


def _check_output(path: Path) -> None:
    """Refuse before two trainings what could not be written after them."""
    try:
        check_replaceable(path)
    except OSError as error:
        raise CertificateError(f"{path} can't be written: {error.strerror}") from error
    if path.is_dir() or not os.access(path.parent, os.W_OK):
        reason = "it is a folder" if path.is_dir() else f"{path.parent} is no folder that you can write to"
        raise CertificateError(f"{path} can't be written: {reason}")


def _verify(file: Path, public_key: str | None) -> None:
    try:
        with file.open("rb") as stream:
            content = stream.read(_MAX_CERTIFICATE_BYTES + 1)
        text = content.decode()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise CertificateError(f"{file} can't be read: {reason}") from error
    if len(content) > _MAX_CERTIFICATE_BYTES:
        raise CertificateError(f"{file} is no certificate of an erasure: it is too large.")
    # An empty key is a variable of the shell that is not set, and not the wish to trust .env.
    if public_key is None:
        public_key = signature.public_key(stack_settings.load(create=False)[_KEY])
    certificate = signature.verified(text, public_key)
    print(f"The certificate is valid: {summary(certificate)}, signed with {public_key}.")


def _warehouse(settings: Settings) -> Warehouse:
    passwords = {name: value for name, value in settings.values.items() if "_CLICKHOUSE_" in name}
    return Warehouse(settings["CLICKHOUSE_HOST"], settings.port("CLICKHOUSE"), passwords)


def _number(text: str) -> int:
    number = argument_types.number_in(text, 1, _MAX_NUMBER)
    if number is None:
        raise argparse.ArgumentTypeError(f"{argument_types.shown(text)} is not the number of an erasure")
    return number
