"""What all rooms' tests have in common."""

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import settings

from dataflix_stack.config import short_path

# How long an example takes is the machine's matter: a busy one failed tests by Hypothesis' 200 ms.
settings.register_profile("dataflix", settings.default, deadline=None)
settings.load_profile("dataflix")


@pytest.fixture(scope="session", autouse=True)
def _links_removed_at_the_end() -> Iterator[None]:
    """Keep the short links to state folders of tests out of the system's folders, where they would stay."""
    with TemporaryDirectory(prefix="dfx-", dir="/tmp") as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(short_path, "_FOLDERS", (Path(folder),))
        yield
