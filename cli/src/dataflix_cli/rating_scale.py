"""The scale of ratings."""

LOWEST, HIGHEST, STEP = 0.5, 5.0, 0.5


def parse_rating(text: str) -> float:
    """Return the stars; a decimal comma is allowed.

    Raises:
        ValueError: the text is not on the scale; the message names the scale.
    """
    try:
        stars = float(text.replace(",", "."))
    except ValueError:
        stars = 0.0
    if not (LOWEST <= stars <= HIGHEST and (stars / STEP).is_integer()):
        raise ValueError(f"{text!r} is not a rating: it must be {LOWEST} to {HIGHEST:g} in steps of {STEP}.")
    return stars
