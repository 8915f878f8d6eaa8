"""The scale of ratings."""

LOWEST, HIGHEST, STEP = 0.5, 5.0, 0.5


def parse_stars(text: str) -> float:
    """Return the stars, also when told with a decimal comma. Raises ValueError naming the scale."""
    try:
        stars = float(text.replace(",", "."))
    except ValueError:
        stars = 0.0
    if not (LOWEST <= stars <= HIGHEST and (stars / STEP).is_integer()):
        raise ValueError(
            f"{text!r} is not a rating: it goes from {LOWEST} to {HIGHEST:g} in steps of {STEP}."
        )
    return stars
