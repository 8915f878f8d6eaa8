"""How a proof can end other than well."""


class NotRunError(Exception):
    """The proof can't be made on this machine; nothing is proven and nothing is disproven."""


class ImageError(Exception):
    """An image did not build, did not start or did not do its work; the message has the end of its log."""
