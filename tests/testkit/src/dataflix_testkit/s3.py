"""An S3 server (rclone) with one empty bucket."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from dataflix_testkit.process import (
    CORE_BIN,
    clean_environ,
    free_port,
    port_is_open,
    random_password,
    server_process,
)


@dataclass(frozen=True)
class S3Server:
    """A running server."""

    endpoint_url: str
    bucket: str
    environ: dict[str, str]


@contextmanager
def s3(data: Path | None = None, *, keys_of: S3Server | None = None) -> Iterator[S3Server]:
    """Run the server on the folder `data` (by default a temporary one) with an empty bucket `dataflix`.

    With `keys_of` it has the keys of another server, so that clients of that one can be sent to this one.
    """
    with tempfile.TemporaryDirectory(prefix="dataflix-s3-", ignore_cleanup_errors=True) as folder:
        port, access_key, secret_key = free_port(), random_password(), random_password()
        if keys_of is not None:
            access_key = keys_of.environ["DATAFLIX_S3_ACCESS_KEY"]
            secret_key = keys_of.environ["DATAFLIX_S3_SECRET_KEY"]
        environ = {
            "DATAFLIX_S3_HOST": "127.0.0.1",
            "DATAFLIX_S3_PORT": str(port),
            "DATAFLIX_S3_ACCESS_KEY": access_key,
            "DATAFLIX_S3_SECRET_KEY": secret_key,
            "DATAFLIX_S3_BUCKET": "dataflix",
        }
        data = data or Path(folder) / "data"
        # For this server, a folder is a bucket.
        (data / "dataflix").mkdir(parents=True)
        command = [str(CORE_BIN / "rclone"), "serve", "s3", str(data), "--addr", f"127.0.0.1:{port}"]
        with server_process(
            command,
            ready=lambda: port_is_open(port),
            log=Path(folder) / "s3.log",
            # rclone reads this as a CSV list; the quotes make the pair one value.
            environ=clean_environ({"RCLONE_AUTH_KEY": f'"{access_key},{secret_key}"'}),
        ):
            yield S3Server(f"http://127.0.0.1:{port}", "dataflix", environ)
