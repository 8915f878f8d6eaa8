"""The form of a certificate's file, and its signature: Ed25519 (RFC 8032).

The private key is derived from the one that signs promotions of models, which is in `.env`. Who has the
public key can verify a certificate without any secret of ours.
"""

import json
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from dataflix_ops.erasure_certificate.errors import CertificateError

_PARTS = {"certificate", "public_key", "signature"}
_KEY_BYTES = 32
_PURPOSE = b"dataflix: certificates of erasures"


def public_key(key: str) -> str:
    """Return the public key, in hex, that belongs to a promotion key of 64 hexadecimal digits."""
    return _private(key).public_key().public_bytes_raw().hex()


def sign(certificate: dict[str, Any], key: str) -> str:
    """Return the text of a certificate's file.

    Args:
        certificate: what it says.
        key: the promotion key, 64 hexadecimal digits.
    """
    signature = _private(key).sign(_signed_bytes(certificate)).hex()
    signed = {"certificate": certificate, "public_key": public_key(key), "signature": signature}
    return json.dumps(signed, indent=2, ensure_ascii=False) + "\n"


def verified(text: str, trusted_key: str) -> dict[str, Any]:
    """Return what a certificate says, if it was signed with the trusted key.

    Args:
        text: of its file.
        trusted_key: the public key, in hex. The one in the file says nothing: anybody can make one.

    Raises:
        CertificateError: it is no certificate, or the signature is of another key or of another text.
    """
    try:
        signed = json.loads(text, object_pairs_hook=_without_repetitions)
        is_form = set(signed) == _PARTS and isinstance(signed["certificate"], dict)
        signature = bytes.fromhex(signed["signature"]) if is_form else b""
    except (ValueError, TypeError, RecursionError):
        is_form = False
    if not is_form:
        raise CertificateError("The file is no certificate of an erasure, or it is damaged.")
    try:
        key = Ed25519PublicKey.from_public_bytes(_key_bytes(trusted_key))
        key.verify(signature, _signed_bytes(signed["certificate"]))
    except InvalidSignature:
        reason = (
            "it was changed after it was signed"
            if signed["public_key"] == trusted_key.lower()
            else "it was signed with another key"
        )
        raise CertificateError(f"The certificate is not valid: {reason}.") from None
    certificate: dict[str, Any] = signed["certificate"]
    return certificate


def _private(key: str) -> Ed25519PrivateKey:
    # RFC 5869: from the derived key nobody can tell the other.
    derivation = HKDF(hashes.SHA256(), _KEY_BYTES, salt=None, info=_PURPOSE)
    return Ed25519PrivateKey.from_private_bytes(derivation.derive(_key_bytes(key)))


def _key_bytes(text: str) -> bytes:
    try:
        key = bytes.fromhex(text)
    except ValueError:
        key = b""
    if len(key) != _KEY_BYTES:
        raise CertificateError("A key of certificates has 64 hexadecimal digits.")
    return key


def _signed_bytes(certificate: dict[str, Any]) -> bytes:
    """Return the one spelling that is signed, whatever line breaks and order a file has."""
    return json.dumps(certificate, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode()


def _without_repetitions(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    # A reader of the file may see the first of two equal names, and we the last.
    if len(pairs) != len(dict(pairs)):
        raise ValueError("a name is there twice")
    return dict(pairs)
