"""Which `.env` is read, and what wins over it."""

from pathlib import Path

import pytest

from dataflix_common.env_file import env_file_path, read_env_file, with_env_file


def test_the_variable_names_the_file(tmp_path: Path) -> None:
    assert env_file_path({"DATAFLIX_ENV_FILE": str(tmp_path / "other")}) == tmp_path / "other"
    assert env_file_path({}, tmp_path) == tmp_path / ".env"


def test_a_missing_file_says_nothing(tmp_path: Path) -> None:
    assert read_env_file(tmp_path / ".env") == {}


def test_a_byte_order_mark_and_line_ends_of_windows_are_no_mistake(tmp_path: Path) -> None:
    (tmp_path / ".env").write_bytes(b"\xef\xbb\xbfA=1\r\nB=two\r\n")
    assert read_env_file(tmp_path / ".env") == {"A": "1", "B": "two"}


@pytest.mark.parametrize("content", [b"A=1\nB=\0\n", b"A=\xff\n", "A=1\n".encode("utf-16")])
def test_what_is_no_text_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / ".env").write_bytes(content)
    with pytest.raises(UnicodeDecodeError):
        read_env_file(tmp_path / ".env")


def test_a_folder_is_not_the_lack_of_settings(tmp_path: Path) -> None:
    """Commands would go on with the ports and addresses that another stack may have."""
    (tmp_path / ".env").mkdir()
    with pytest.raises(IsADirectoryError, match=r"Is a directory: .*\.env"):
        read_env_file(tmp_path / ".env")


def test_empty_variables_are_left_out(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("# comment\nA=1\nB=\nC\n")
    assert read_env_file(tmp_path / ".env") == {"A": "1"}


def test_the_environment_wins_over_the_file(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("A=file\nB=file\n")
    values = with_env_file({"A": "environment"}, tmp_path)
    assert (values["A"], values["B"]) == ("environment", "file")


def test_the_home_folder_is_next_to_the_file_unless_it_is_set(tmp_path: Path) -> None:
    assert with_env_file({}, tmp_path)["DATAFLIX_HOME"] == str(tmp_path / ".dataflix")
    (tmp_path / ".env").write_text("DATAFLIX_HOME=/elsewhere\n")
    assert with_env_file({}, tmp_path)["DATAFLIX_HOME"] == "/elsewhere"
