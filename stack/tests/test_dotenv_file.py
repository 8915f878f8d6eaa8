"""`.env` is written once, private and complete, and every mistake in it is reported by name."""

import os
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from dataflix_common.env_file import with_env_file
from dataflix_stack.config import dotenv_file
from dataflix_stack.config.variables import ADDED_LATER, VARIABLES
from dataflix_stack.errors import StackError

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def env_file(tmp_path: Path) -> Path:
    path = tmp_path / ".env"
    dotenv_file.write_first(path, {})
    return path


def change(path: Path, name: str, value: str) -> None:
    lines = [
        f"{name}={value}" if line.startswith(f"{name}=") else line for line in path.read_text().splitlines()
    ]
    path.write_text("\n".join(lines) + "\n")


def test_the_first_file_is_private_complete_and_readable(env_file: Path) -> None:
    assert stat.S_IMODE(env_file.stat().st_mode) == 0o600
    values = dotenv_file.read(env_file, {})
    assert {variable.name for variable in VARIABLES} <= values.keys()


def test_no_two_files_share_a_secret(tmp_path: Path) -> None:
    files = [tmp_path / "a", tmp_path / "b"]
    for file in files:
        dotenv_file.write_first(file, {})
    first, second = (dotenv_file.read(file, {}) for file in files)
    secrets = [variable.name for variable in VARIABLES if not (variable.example or variable.is_optional)]
    assert len(secrets) > 10
    assert all(first[name] != second[name] for name in secrets)
    assert len({first[name] for name in secrets}) == len(secrets)


def test_the_environment_of_the_first_run_decides(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    dotenv_file.write_first(path, {"DATAFLIX_BACKEND_PORT": "6002", "DATAFLIX_HOME": "/somewhere/else"})
    values = dotenv_file.read(path, {})
    assert values["DATAFLIX_BACKEND_PORT"] == "6002"
    assert values["DATAFLIX_HOME"] == "/somewhere/else"


def test_a_bad_value_in_the_environment_leaves_no_file(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    with pytest.raises(StackError, match=r"DATAFLIX_BACKEND_PORT.*whole number.*'many'"):
        dotenv_file.write_first(path, {"DATAFLIX_BACKEND_PORT": "many"})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("value", ["", "0", "65536", "-1", "5e3", "eighty", "9" * 5000, "٨٠"])
def test_an_invalid_port_is_named(env_file: Path, value: str) -> None:
    change(env_file, "DATAFLIX_MLFLOW_PORT", value)
    with pytest.raises(StackError, match="DATAFLIX_MLFLOW_PORT must be a port"):
        dotenv_file.read(env_file, {})


def test_a_broken_secret_is_named_but_not_shown(env_file: Path) -> None:
    change(env_file, "DATAFLIX_PII_KEY", "hunter2")
    with pytest.raises(StackError, match="DATAFLIX_PII_KEY must be 64 hex") as caught:
        dotenv_file.read(env_file, {})
    assert "hunter2" not in str(caught.value)


def test_two_services_on_one_port_are_both_named(env_file: Path) -> None:
    change(env_file, "DATAFLIX_TRAINER_PORT", "5003")
    with pytest.raises(StackError, match=r"DATAFLIX_MLFLOW_PORT and DATAFLIX_TRAINER_PORT are both 5003"):
        dotenv_file.read(env_file, {})


def test_a_line_that_is_no_setting_is_reported_by_number(env_file: Path) -> None:
    lines = env_file.read_text().splitlines()
    env_file.write_text("\n".join([*lines[:3], "DATAFLIX_API_KEY hunter2 forever", *lines[3:]]) + "\n")
    with pytest.raises(
        StackError, match=r"line 4: not a setting .*DATAFLIX_API_KEY.*single quotes"
    ) as caught:
        dotenv_file.read(env_file, {})
    assert "hunter2" not in str(caught.value)


def test_signs_are_written_as_the_message_says(env_file: Path) -> None:
    change(env_file, "DATAFLIX_SOURCE_PASSWORD", r"""'p$a#s s\'"w:@/%\\x'""")
    assert dotenv_file.read(env_file, {})["DATAFLIX_SOURCE_PASSWORD"] == r"""p$a#s s'"w:@/%\x"""


def test_a_refused_secret_of_the_environment_is_not_shown(tmp_path: Path) -> None:
    with pytest.raises(StackError, match="DATAFLIX_API_KEY in the environment must be 16 or more") as caught:
        dotenv_file.write_first(tmp_path / "env", {"DATAFLIX_API_KEY": "hunter 2"})
    assert "hunter" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("# é\nDATAFLIX_API_KEY=x\n".encode("cp1252"), "line 1: not UTF-8"),
        (b"A=1\nB=\xff\n", "line 2: not UTF-8"),
        ("A=1\n".encode("utf-16-be"), "line 1: there is a zero byte"),
    ],
)
def test_a_file_that_is_not_utf8_is_refused_with_the_line(env_file: Path, content: bytes, said: str) -> None:
    env_file.write_bytes(content)
    for function in (dotenv_file.read, dotenv_file.add_missing):
        with pytest.raises(StackError, match=said):
            function(env_file, {})
    assert env_file.read_bytes() == content


def test_a_byte_order_mark_is_no_mistake(env_file: Path) -> None:
    before = dotenv_file.read(env_file, {})
    env_file.write_bytes(b"\xef\xbb\xbf" + env_file.read_bytes())
    assert dotenv_file.read(env_file, {}) == before


def test_a_folder_in_the_place_of_the_file_is_reported(tmp_path: Path) -> None:
    with pytest.raises(StackError, match="can't be read: Is a directory"):
        dotenv_file.read(tmp_path, {})


def test_a_pipe_in_the_place_of_the_file_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "env")
    with pytest.raises(StackError, match="it is a pipe"):
        dotenv_file.read(tmp_path / "env", {})


def test_a_missing_variable_is_named(env_file: Path) -> None:
    kept = [line for line in env_file.read_text().splitlines() if "DATAFLIX_API_KEY" not in line]
    env_file.write_text("\n".join(kept) + "\n")
    with pytest.raises(StackError, match="DATAFLIX_API_KEY is missing"):
        dotenv_file.read(env_file, {})


def test_an_environment_that_contradicts_the_file_is_refused(env_file: Path) -> None:
    with pytest.raises(StackError, match="DATAFLIX_BACKEND_PORT has one value in the environment"):
        dotenv_file.read(env_file, {"DATAFLIX_BACKEND_PORT": "7777"})


@settings(max_examples=200)
@given(st.text(st.characters(exclude_characters="\r\n\x00", codec="utf-8"), max_size=40))
def test_any_value_is_read_as_written_or_refused(
    tmp_path_factory: pytest.TempPathFactory, value: str
) -> None:
    path = tmp_path_factory.mktemp("env") / ".env"
    dotenv_file.write_first(path, {})
    change(path, "DATAFLIX_API_KEY", value)
    try:
        read = dotenv_file.read(path, {})["DATAFLIX_API_KEY"]
    except StackError:
        return
    assert read.isascii()
    assert len(read) >= 16
    assert not set(read) & set(" '\"\\$#")


def test_the_example_in_the_tree_is_current() -> None:
    assert (ROOT / ".env.example").read_text() == dotenv_file.example(), (
        "write it again: .venv/bin/python -m dataflix_stack.config.dotenv_file > .env.example"
    )


def older(path: Path) -> str:
    """Rewrite the file as an older version would have written it, and return its text."""
    lines = [line for line in path.read_text().splitlines() if line.partition("=")[0] not in ADDED_LATER]
    path.write_text("\n".join(lines) + "\n")
    return path.read_text()


def test_an_older_file_gets_the_new_variables_and_keeps_the_rest(env_file: Path) -> None:
    before = older(env_file)
    assert set(dotenv_file.add_missing(env_file, {})) == ADDED_LATER
    assert env_file.read_text().startswith(before)
    assert stat.S_IMODE(env_file.stat().st_mode) == 0o600
    values = dotenv_file.read(env_file, {})
    assert dotenv_file.add_missing(env_file, {}) == []
    assert dotenv_file.read(env_file, {}) == values


def test_the_last_line_of_an_older_file_may_be_unfinished(env_file: Path) -> None:
    env_file.write_text(older(env_file).rstrip("\n"))
    dotenv_file.add_missing(env_file, {})
    assert dotenv_file.read(env_file, {}).keys() >= ADDED_LATER


def test_the_environment_decides_what_an_older_file_gets(env_file: Path) -> None:
    before = older(env_file)
    with pytest.raises(StackError, match=r"DATAFLIX_SUPERSET_PORT in the environment.*'many'"):
        dotenv_file.add_missing(env_file, {"DATAFLIX_SUPERSET_PORT": "many"})
    assert env_file.read_text() == before
    dotenv_file.add_missing(env_file, {"DATAFLIX_SUPERSET_PORT": "9088"})
    assert dotenv_file.read(env_file, {})["DATAFLIX_SUPERSET_PORT"] == "9088"


def test_a_lost_secret_is_never_replaced(env_file: Path) -> None:
    lines = [line for line in env_file.read_text().splitlines() if not line.startswith("DATAFLIX_PII_KEY=")]
    env_file.write_text("\n".join(lines) + "\n")
    assert dotenv_file.add_missing(env_file, {}) == []
    with pytest.raises(StackError, match="DATAFLIX_PII_KEY is missing"):
        dotenv_file.read(env_file, {})


def test_concurrent_calls_add_each_variable_once(env_file: Path) -> None:
    older(env_file)
    with ThreadPoolExecutor(8) as pool:
        added = list(pool.map(lambda _: dotenv_file.add_missing(env_file, {}), range(8)))
    assert sorted(name for names in added for name in names) == sorted(ADDED_LATER)
    text = env_file.read_text()
    assert all(text.count(f"\n{name}=") == 1 for name in ADDED_LATER)


@pytest.mark.parametrize(
    "value",
    [
        *(
            "plain",
            "with # and $NAME",
            "it's",
            'a "quote"',
            " blanks ",
            "=",
            "ü",
            "${HOME}",
            "$HOME",
            "${A:-b}",
        ),
        *("back\\slash", "two\\\\", "at the end\\", "\\n", "\\'", "'", "`id`", "$(id)"),
    ],
)
def test_the_password_of_another_database_may_have_any_sign(tmp_path: Path, value: str) -> None:
    name = "DATAFLIX_SOURCE_PASSWORD"
    written, filled = tmp_path / "written", tmp_path / "filled"
    dotenv_file.write_first(written, {name: value})
    dotenv_file.write_first(filled, {})
    assert dotenv_file.fill_in(filled, {name: value}) == [name]
    for path in (written, filled):
        assert dotenv_file.read(path, {name: value})[name] == value
        assert with_env_file({"DATAFLIX_ENV_FILE": str(path)})[name] == value
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    # What is there stays.
    assert dotenv_file.fill_in(filled, {name: "another"}) == []
    with pytest.raises(StackError, match=f"{name} has one value in the environment"):
        dotenv_file.read(filled, {name: "another"})


@settings(max_examples=200)
@given(st.text(st.characters(exclude_characters="\x00", codec="utf-8"), max_size=40))
@example("\ufeffNAME=${HOME}")
@example("A=\"${HOME}\" # why\nB='$HOME'\r\nexport C=\\$\nA=2")
def test_all_programs_read_a_file_alike(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    """The stack, and the commands that a person starts, whoever wrote the file."""
    path = tmp_path_factory.mktemp("env") / ".env"
    path.write_bytes(f"{text}\nDATAFLIX_API_KEY={text}\n".encode())
    read = with_env_file({"DATAFLIX_ENV_FILE": str(path), "DATAFLIX_HOME": "/"})
    for name in ("A", "B", "C", "NAME", "DATAFLIX_API_KEY"):
        assert dotenv_file.value_of(path, name) == read.get(name)


@pytest.mark.parametrize(
    ("name", "value"),
    [("SSLMODE", "allow"), ("PORT", "0"), ("COPY_SECONDS", "0"), ("COPY_SECONDS", "86401"), ("HOST", "a\nb")],
)
def test_a_wrong_setting_of_another_database_is_named(tmp_path: Path, name: str, value: str) -> None:
    variable = f"DATAFLIX_SOURCE_{name}"
    with pytest.raises(StackError, match=f"{variable} in the environment must be"):
        dotenv_file.write_first(tmp_path / "env", {variable: value})


def test_another_database_may_have_the_port_of_ours(env_file: Path) -> None:
    values = dotenv_file.read(env_file, {})
    assert values["DATAFLIX_SOURCE_PORT"] == values["DATAFLIX_POSTGRES_PORT"]


def test_a_copy_of_the_example_with_other_ports_is_filled_in_where_it_is_empty(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    path.write_text((ROOT / ".env.example").read_text())
    change(path, "DATAFLIX_BACKEND_PORT", "6002")
    change(path, "DATAFLIX_API_KEY", "'' # later")
    empty = {v.name for v in VARIABLES if not v.example and not v.is_optional}
    lines = path.read_text().splitlines()
    assert set(dotenv_file.complete(path, {})) == empty
    values = dotenv_file.read(path, {})
    assert values["DATAFLIX_BACKEND_PORT"] == "6002"
    assert len({values[name] for name in empty}) == len(empty)
    written = path.read_text().splitlines()
    assert [line for line in written if line in lines] == [
        line for line in lines if line.partition("=")[0] not in empty
    ]
    assert len(written) == len(lines)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert dotenv_file.complete(path, {}) == []


def test_a_file_with_one_port_alone_is_completed(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    path.write_text("\n\n  DATAFLIX_BACKEND_PORT=6002\n\nDATAFLIX_API_KEY\n# mine\nDATAFLIX_MLFLOW_PORT=")
    dotenv_file.complete(path, {"DATAFLIX_MLFLOW_PORT": "6003"})
    values = dotenv_file.read(path, {})
    assert (values["DATAFLIX_BACKEND_PORT"], values["DATAFLIX_MLFLOW_PORT"]) == ("6002", "6003")
    assert path.read_text().startswith("\n\n  DATAFLIX_BACKEND_PORT=6002\n\nDATAFLIX_API_KEY=")
    assert "\n# mine\n" in path.read_text()


def test_a_file_with_a_mistake_is_not_completed(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    path.write_text("DATAFLIX_BACKEND_PORT=\nport 5\nport 6\n")
    with pytest.raises(StackError, match=r"(?s)2 things.*line 2: not.*line 3: not"):
        dotenv_file.complete(path, {})
    assert path.read_text() == "DATAFLIX_BACKEND_PORT=\nport 5\nport 6\n"


def test_all_mistakes_are_told_at_once(env_file: Path) -> None:
    change(env_file, "DATAFLIX_BACKEND_PORT", "many")
    change(env_file, "DATAFLIX_TRAINER_PORT", "5003")
    change(env_file, "DATAFLIX_PII_KEY", "hunter2")
    with pytest.raises(StackError) as caught:
        dotenv_file.read(env_file, {"DATAFLIX_S3_PORT": "7777"})
    told = str(caught.value)
    assert told.startswith("4 things must be mended:\n- ")
    for name in (
        "DATAFLIX_BACKEND_PORT must",
        "MLFLOW_PORT and DATAFLIX_TRAINER_PORT",
        "PII_KEY must",
        "S3_PORT has",
    ):
        assert name in told
    assert "hunter2" not in told
    with pytest.raises(StackError, match="2 things"):
        dotenv_file.write_first(env_file, {"DATAFLIX_S3_PORT": "x", "DATAFLIX_MLFLOW_PORT": "y"})
