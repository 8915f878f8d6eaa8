"""What people type is read as they mean it, or refused in a short sentence."""

import argparse
from pathlib import Path

import click
import pytest

from dataflix_common import argument_types
from dataflix_common.click_group import OutputErrorsGroup
from dataflix_common.click_types import FiniteRange, PathType

# int() refuses to read as many digits.
MANY = "9" * 5000


@pytest.mark.parametrize(
    ("text", "number"),
    [
        *(("5", 5), ("0005", 5), ("0" * 5000 + "5", 5), ("0", 0), ("100", 100)),
        *((text, None) for text in ("101", MANY, "-1", "+1", "", " 1", "1.0", "x", "²", "٤", "1_0")),
    ],
)
def test_a_whole_number_is_read_whatever_its_length(text: str, number: int | None) -> None:
    assert argument_types.number_in(text, 0, 100) == number
    if number is None:
        with pytest.raises(argparse.ArgumentTypeError, match="from 0 to 100, not") as refused:
            argument_types.whole_number(0, 100)(text)
        assert len(str(refused.value)) < 150


@pytest.mark.parametrize("text", ["nan", "inf", "-inf", "1e400", "-0.1", "10.1", "x", "", MANY])
def test_a_number_is_in_its_range(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="from 0 to 10, not"):
        argument_types.number(0, 10)(text)
    assert argument_types.number(0, 10)("2.5") == 2.5


def test_an_empty_path_is_not_the_present_folder() -> None:
    """A variable of the shell that is not set is an empty text."""
    assert argument_types.path(".") == Path()
    with pytest.raises(argparse.ArgumentTypeError, match="it is empty"):
        argument_types.path("")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--path", ""], "it is empty"),
        (["--share", "nan"], "'nan' is not a finite number"),
        (["--share", "inf"], "'inf' is not a finite number"),
        (["--count", MANY], " ... "),
    ],
)
def test_click_refuses_the_same_in_a_few_lines(
    words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    @click.group(cls=OutputErrorsGroup)
    def program() -> None:
        pass

    @program.command()
    @click.option("--path", type=PathType())
    @click.option("--share", type=FiniteRange(0))
    @click.option("--count", type=click.IntRange(0, 9))
    def work(**_: object) -> None:
        raise AssertionError

    with pytest.raises(SystemExit) as end:
        program.main(["work", *words])
    assert end.value.code == 2
    printed = capsys.readouterr().err
    assert message in printed
    assert len(printed) < 1000
