"""Descriptions of what fills our own tables: the sample and MovieLens."""

from importlib.resources import files

from dataflix_source.description.yaml_file import DescriptionFile, parse_description

NAMES = ("sample", "movielens")


def own_description(name: str) -> DescriptionFile:
    """Return one of NAMES."""
    text = (files(__package__) / f"{name}.yml").read_text(encoding="utf-8")
    return parse_description(text, f"{name}.yml")
