"""What a description may say, and which line is named if it says something else."""

import json
from pathlib import Path

import jsonschema
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from psycopg2.extensions import connection as Connection  # noqa: N812
from pydantic_core import PydanticCustomError

from dataflix_source.client import source_snapshot
from dataflix_source.description.json_schema import json_schema
from dataflix_source.description.references import ColumnName, Reference, TableName, literal, quoted
from dataflix_source.description.yaml_file import parse_description, read_description
from dataflix_source.descriptions import NAMES, own_description
from dataflix_source.errors import DescriptionError
from dataflix_source.looking.check import check_source
from dataflix_source.settings import OwnSettings

from .conftest import EXAMPLES, LIBRARY_FILE

FILES = sorted(EXAMPLES.glob("*/dataflix.yml"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.parent.name)
def test_the_examples_are_valid(path: Path) -> None:
    file = read_description(path)
    assert file.description.source.name == path.parent.name
    jsonschema.validate(yaml.safe_load(path.read_text(encoding="utf-8")), json_schema())


@pytest.mark.parametrize("name", NAMES)
def test_our_own_tables_are_described(own: Connection, own_settings: OwnSettings, name: str) -> None:
    description = own_description(name).description
    assert description.source.kind == "ours"
    settings = own_settings.as_source()
    with source_snapshot(settings) as session:
        findings = check_source(session, settings, description)[1]
    assert findings.problems == []


def test_the_schema_is_one() -> None:
    jsonschema.Draft202012Validator.check_schema(json_schema())
    json.dumps(json_schema())


def test_the_schema_refuses_what_is_not_known() -> None:
    bad = yaml.safe_load(LIBRARY_FILE)
    bad["people"]["colour"] = "red"
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(bad, json_schema())


# What is replaced in the library's file, by what, the line that is named, and what the message has.
BAD = [
    ("version: 1", "version: 2", 1, "version"),
    ("name: library", "name: The Library", 2, "source.name: 'The Library' has not the form"),
    ("copy: compare", "copy: fast", 2, "source.copy"),
    ("copy: compare", "copy: logical", 2, "source.copy"),
    ("Europe/Berlin", "Europe/Atlantis", 2, "Europe/Atlantis is no time zone"),
    ("Europe/Berlin", "../../etc/passwd", 2, "is no time zone"),
    ("copy: compare", "copy: compare, compare_every: 24", 2, "such as 30m, 24h or 7d"),
    ("item: book,", "item: 'book<script>',", 3, "words.item"),
    ("  id: card\n", "", 4, "people: id is missing"),
    ("  id: card\n", "  id:\n", 6, "people.id: "),
    ("  id: card\n", "  id: card -> x.y\n", 6, "is not the name of a column"),
    ("  joined: joined\n", "  joined: now()\n", 7, "SQL is not possible here, a view is"),
    ("hidden: gone", "hiden: gone", 8, "people.hiden: is not known here"),
    ("first_name: full_name", "full_name: full_name", 10, "people.attributes"),
    ("full_name: initial", "full_name: drop", 4, "full_name is dropped, but attributes.first_name copies it"),
    ("full_name: initial", "full_name: place", 4, "can't be masked as place"),
    ("card: id", "card: drop", 4, "card is the id"),
    ("town: place", "town: place, phone: pseudonym", 4, "no attribute copies it: write drop"),
    ("mail: pseudonym", "mail: hashed", 11, "people.personal.mail"),
    ("separator: ;", "separator: ''", 17, "items.categories"),
    ("floor: shelf_id", "'Floor!': shelf_id", 18, "items.attributes"),
    ("floor: shelf_id -> shelf.label", "floor: shelf_id -> label", 18, "must be schema.table.column"),
    ("    weight: 1\n", "", 20, "events.0: kind borrowed has no weight"),
    ("    weight: 1\n", "    weight: 0\n", 21, "not 0"),
    ("    weight: 1\n", "    weight: .nan\n", 21, "events.0.weight"),
    ("    weight: 1\n", "    weight: much\n", 21, "events.0.weight"),
    ("    weight: 1\n", "    weight: 1\n    kinds: {column: x, weights: {a: 1}}\n", 20, "either kind"),
    ("kind: reviewed", "kind: borrowed", 19, "kind borrowed of events 2 is already taken"),
    ("kind: reviewed", "kind: reviewed\n    weight: 2", 28, "its value weighs"),
    ("min: 1, max: 10", "min: 10, max: 1", 34, "min must be below max"),
    ("min: 1, max: 10", "min: 1", 34, "max is missing"),
    ("scale: {column: points, min: 1, max: 10}", "scale: points", 34,
     "events.1.scale: must have parts of its own: column, min, max"),
    ("{column: subjects, separator: ;}", "{column: subjects}", 17, "items.categories: separator is missing"),
    ("{column: subjects, separator: ;}", "[subjects]", 17, "items.categories: must be a name"),
    ("floor: shelf_id", "Floor: shelf_id", 18, "'Floor' has not the form of a name of ours"),
    ("table: reader", 'table: "My"."Reader"', 5, """stands in single ones, as '"MyApp"."User"'"""),
    ("attributes: {release_year", "attributes: [release_year", 18, "is no YAML"),
    ("attributes: {release_year: year, floor: shelf_id -> shelf.label}", "attributes: [year]", 18,
     "must be lines such as `name: column`"),
    ("repeats: every", "repeats: sometimes", 27, "events.0.repeats"),
    ("    time: lent\n", "    time: lent\n    time: written\n", 26, "time stands here twice"),
    ("people:\n", "people: &p\n", None, None),
    ("table: loan", "table: *p", 22, "aliases"),
    ("version: 1", "version: 1\n\tx: y", 2, "is no YAML"),
    ("version: 1", "version: [1", 2, "is no YAML"),
    ("version: 1", "? [a]\n: b\nversion: 1", 1, "a key must be a word"),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "line", "message"), BAD)
def test_a_mistake_is_named_with_its_line(old: str, new: str, line: int | None, message: str | None) -> None:
    assert old in LIBRARY_FILE
    text = LIBRARY_FILE.replace(old, new, 1)
    if message is None:
        parse_description(text, "d.yml")
        return
    with pytest.raises(DescriptionError) as caught:
        parse_description(text, "d.yml")
    assert (line, message) in [(at, message) for at, said in caught.value.problems if message in said], str(
        caught.value
    )


def test_a_mistake_in_one_form_of_categories_is_told_once() -> None:
    text = LIBRARY_FILE.replace("{column: subjects, separator: ;}", "{table: subject, item: isbn}")
    with pytest.raises(DescriptionError) as caught:
        parse_description(text, "d.yml")
    assert caught.value.problems == ((17, "items.categories: name is missing"),)


def test_all_mistakes_are_told_at_once() -> None:
    text = (
        LIBRARY_FILE.replace("hidden:", "hiden:")
        .replace("copy: compare", "copy: x")
        .replace("time: lent", "when: lent")
    )
    with pytest.raises(DescriptionError) as caught:
        parse_description(text, "d.yml")
    assert [line for line, _ in caught.value.problems] == [2, 8, 20, 25]
    assert str(caught.value).startswith("d.yml:2: source.copy: ")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"- a\n", "no mapping"),
        (b"version: 1\nx: \xff\n", "d.yml:2: is not UTF-8"),
        (b"a" * (1 << 20) + b"b", "larger than 1 MiB"),
        (b"[" * 100_000, "d.yml:1: is nested too deeply"),
        (b"a: &x [*x]\n", "aliases"),
        (b"\x00", "is no YAML"),
        (b"version: !!python/object/apply:os.system ['true']\n", "d.yml"),
        (b"--- {}\n--- {}\n", "is no YAML"),
    ],
)
def test_files_that_are_none(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "d.yml"
    path.write_bytes(content)
    with pytest.raises(DescriptionError, match=message):
        read_description(path)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(DescriptionError, match="can't be read: No such file"):
        read_description(tmp_path / "d.yml")
    with pytest.raises(DescriptionError, match="can't be read: Is a directory"):
        read_description(tmp_path)


def _problems(text: str) -> tuple[tuple[int | None, str], ...]:
    try:
        parse_description(text, "d.yml")
    except DescriptionError as error:
        return error.problems
    return ()


@given(st.text())
def test_any_text_is_an_error_with_a_reason(text: str) -> None:
    assert _problems(text)


@given(st.data())
def test_a_cut_description_is_an_error_with_lines(data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(LIBRARY_FILE) - 1))
    end = data.draw(st.integers(start + 1, len(LIBRARY_FILE)))
    cut = _problems(LIBRARY_FILE[:start] + LIBRARY_FILE[end:])
    assert all(line is None or 1 <= line <= LIBRARY_FILE.count("\n") + 1 for line, _ in cut)


def test_words_stay_words() -> None:
    """YAML reads no, on and 1e3 as other things than people mean."""
    text = LIBRARY_FILE.replace(
        "scale: {column: points, min: 1, max: 10}",
        "thumbs: {column: points, up: [yes, on, 1e3], down: [no, ~x]}",
    )
    thumbs = parse_description(text, "d.yml").description.events[1].thumbs
    assert thumbs is not None
    assert (thumbs.up, thumbs.down) == (("yes", "on", "1e3"), ("no", "~x"))


@pytest.mark.parametrize(
    ("text", "sql"),
    [
        ("film", '"public"."film"'),
        ("Shop.Film", '"shop"."film"'),
        ('"Shop"."Film x"', '"Shop"."Film x"'),
        ('"a""b".c', '"a""b"."c"'),
        ("größe.maß", '"größe"."maß"'),
    ],
)
def test_names_of_tables(text: str, sql: str) -> None:
    name = TableName.parse(text)
    assert name.sql == sql
    assert TableName.parse(str(name)) == name


def test_paths() -> None:
    path = Reference.parse('a -> s.t.b->"T"(k).c')
    assert [str(hop) for hop in path.hops] == ["s.t.b", 'public."T"(k).c']
    assert Reference.parse(str(path)) == path


@given(st.text(min_size=1, max_size=20).filter(lambda text: "\x00" not in text))
def test_no_name_or_text_ends_its_quotes(text: str) -> None:
    assert quoted(text)[1:-1].replace('""', "") == text.replace('"', "")
    assert literal(text).count("$") == 0
    is_name = all(ord(letter) >= 32 and ord(letter) != 127 for letter in text) and len(text.encode()) <= 63
    if is_name and "$dataflix" not in text:
        assert ColumnName.parse(quoted(text)).name == text
    else:
        with pytest.raises(PydanticCustomError):
            ColumnName.parse(quoted(text))
