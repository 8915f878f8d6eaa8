"""How a test of images ends when it does not pass."""


class NotRunError(Exception):
    """This machine cannot run the test, so nothing is known about the images."""


class ImageError(Exception):
    """An image did not build, start or work; the message has the end of its log."""
