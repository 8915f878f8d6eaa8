"""Errors of certificates. No message holds a personal value."""


class CertificateError(Exception):
    """No certificate can be issued, or one is not valid; the message says why and what to do."""
