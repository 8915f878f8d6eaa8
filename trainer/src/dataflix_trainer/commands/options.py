"""Options that several commands of ``trainer`` share."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from dataflix_common.argument_types import number_in, shown
from dataflix_common.click_types import FiniteRange, PathType
from dataflix_trainer.errors import DataError
from dataflix_trainer.evaluation.options import DEFAULT_CUTOFFS, DEFAULT_SEED, MAX_CUTOFF, Protocol
from dataflix_trainer.settings import MAX_THREADS

if TYPE_CHECKING:
    from dataflix_trainer.data.rating_scale import RatingScale

MAX_SEED = 2**32 - 1
DEFAULT_TUNING_SECONDS = 600


def parse_cutoffs(_: click.Context, __: click.Parameter, text: str) -> tuple[int, ...]:
    """Return lengths of lists such as ``10,20,100``, ascending; called by click."""
    numbers = {number_in(part.strip(), 1, MAX_CUTOFF) for part in text.split(",")}
    if None in numbers:
        raise click.BadParameter(
            f"must be whole numbers from 1 to {MAX_CUTOFF} with commas, not {shown(text)}"
        )
    return tuple(sorted(number for number in numbers if number is not None))


def drawing_seed_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the option ``--seed`` of everything that is drawn."""
    return click.option(
        "--seed",
        type=click.IntRange(0, MAX_SEED),
        default=DEFAULT_SEED,
        show_default=True,
        help="Seed of everything that is drawn.",
    )(command)


def tuned_default(default: float) -> str:
    """Return what the help text says about the default of a hyperparameter that a tuning can find."""
    return f"the latest tuning's, else {default:g}"


def ratings_option(*, required: bool) -> Callable[[Any], Any]:
    """Return the option ``--ratings``."""
    return click.option(
        "--ratings",
        type=PathType(),
        required=required,
        help="MovieLens folder or zip; or a CSV or Parquet file: user, item, timestamp, and rating or count.",
    )


def parse_scale(_: click.Context, __: click.Parameter, text: str | None) -> "RatingScale | None":
    """Return the scale of the ratings, None if it is to be recognised; called by click."""
    if text is None:
        return None
    from dataflix_trainer.data.rating_scale import RatingScale  # noqa: PLC0415 - imports numpy

    try:
        return RatingScale.parse(text)
    except DataError as error:
        raise click.BadParameter(str(error)) from error


def file_evaluation_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options of an evaluation on a file of ratings."""
    for option in (
        click.option(
            "--threads",
            type=click.IntRange(1, MAX_THREADS),
            show_default="available cores",
            help="Threads that fit.",
        ),
        click.option(
            "--budget",
            type=FiniteRange(1),
            default=DEFAULT_TUNING_SECONDS,
            show_default=True,
            help="Seconds for tuning all models.",
        ),
        click.option(
            "--scale",
            callback=parse_scale,
            metavar="LOW:HIGH|thumbs",
            show_default="the narrowest usual one that holds the ratings",
            help="What the ratings mean.",
        ),
        click.option("--tune", is_flag=True, help="Tune every model on the validation split first."),
        drawing_seed_option,
        click.option(
            "--k",
            "cutoffs",
            callback=parse_cutoffs,
            metavar="K,K,...",
            default=",".join(map(str, DEFAULT_CUTOFFS)),
            show_default=True,
            help="Lengths of lists.",
        ),
        click.option(
            "--protocol",
            type=click.Choice([protocol.value for protocol in Protocol]),
            help="How the ratings are split; required with --ratings.",
        ),
    ):
        command = option(command)
    return command
