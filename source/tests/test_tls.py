"""A server whose certificate does not fit gets neither a password nor a query."""

import datetime
import ipaddress
import socket
import ssl
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from dataflix_source.client import source_snapshot
from dataflix_source.errors import SourceUnavailableError
from dataflix_source.settings import SourceSettings

_SSL_REQUEST = 80877103


def certificate(folder: Path, name: str, host: x509.GeneralName) -> Path:
    """Write a certificate that signs itself, with its key; returns the certificate's path."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([host]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = folder / f"{name}.pem"
    path.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    path.with_suffix(".key").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return path


@contextmanager
def server(certificate_path: Path | None) -> Iterator[tuple[int, list[bytes]]]:
    """Answer one client as Postgres does as far as TLS goes; yields the port, and what arrived after it."""
    arrived: list[bytes] = []
    listener = socket.create_server(("127.0.0.1", 0))

    def answer() -> None:
        connection, _ = listener.accept()
        with connection:
            _, code = struct.unpack("!II", connection.recv(8))
            assert code == _SSL_REQUEST
            connection.sendall(b"N" if certificate_path is None else b"S")
            if certificate_path is None:
                arrived.append(connection.recv(1000))
                return
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate_path, certificate_path.with_suffix(".key"))
            try:
                with context.wrap_socket(connection, server_side=True) as encrypted:
                    arrived.append(encrypted.recv(1000))
            except (ssl.SSLError, OSError):
                arrived.append(b"")

    thread = threading.Thread(target=answer)
    thread.start()
    try:
        yield listener.getsockname()[1], arrived
    finally:
        thread.join(30)
        listener.close()


def settings(port: int, root: Path | None) -> SourceSettings:
    return SourceSettings(
        host="127.0.0.1",
        port=port,
        dbname="shop",
        user="reader",
        password="very-secret",
        sslmode="verify-full",
        root_certificate=root,
    )


OURS = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))


@pytest.mark.parametrize("case", ["unknown signer", "other host", "no TLS", "system's signers"])
def test_a_certificate_that_does_not_fit(tmp_path: Path, case: str) -> None:
    fits = certificate(tmp_path, "fits", OURS)
    other_signer = certificate(tmp_path, "signer", OURS)
    other_host = certificate(tmp_path, "host", x509.DNSName("db.example"))
    shown, root = {
        "unknown signer": (fits, other_signer),
        "other host": (other_host, other_host),
        "no TLS": (None, fits),
        "system's signers": (fits, None),
    }[case]
    with server(shown) as (port, arrived):
        refused = pytest.raises(SourceUnavailableError, match="DATAFLIX_SOURCE_SSL")
        with refused as caught, source_snapshot(settings(port, root)):
            pass
    assert "very-secret" not in str(caught.value)
    assert ("must be the name in the server's certificate" in str(caught.value)) == (case == "other host")
    assert arrived == [b""]


def test_a_certificate_that_fits_goes_on(tmp_path: Path) -> None:
    """The handshake succeeds; that this server is no Postgres comes after it."""
    fits = certificate(tmp_path, "fits", OURS)
    refused = pytest.raises(SourceUnavailableError)
    with server(fits) as (port, arrived), refused, source_snapshot(settings(port, fits)):
        pass
    assert b"reader" in arrived[0]
