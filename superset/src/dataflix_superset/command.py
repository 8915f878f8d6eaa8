"""The command `scripts/setup_superset.py`; it runs in Superset's environment."""

# Superset has an environment of its own, which the type checker does not see.
# mypy: disable-error-code="import-not-found"

import argparse
import hashlib
import hmac
import json
import logging
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

from dataflix_common import argument_types
from dataflix_common.command_end import say
from dataflix_superset import bundle
from dataflix_superset import settings as setup_settings
from dataflix_superset.errors import SetupError
from dataflix_superset.setup_state import CompletedSetup, SetupState, open_setup_state

ROOT = Path(__file__).resolve().parents[3]

_DESCRIPTION = """\
Set Superset up: tables, roles, administrator, dashboards. Settings are the DATAFLIX_ variables of
the environment.

A second run changes only what changed. Dashboards, charts and data sets of superset/assets replace
those with the same UUIDs in Superset when the files, Superset's version or a password changed. What
is no longer in the files is deleted. Objects that people made themselves stay as they are.
"""


def main() -> None:
    """Set up; exit 1 with a message when it can't be done."""
    parser = argparse.ArgumentParser(
        description=_DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "bundle",
        nargs="?",
        type=argument_types.path,
        default=ROOT / "superset" / "assets",
        metavar="BUNDLE",
        help="folder of the import bundle (superset/assets)",
    )
    try:
        set_up(parser.parse_args().bundle)
    except SetupError as error:
        sys.exit(f"setup_superset: {error}")


def set_up(folder: Path) -> None:
    """Bring Superset to the state of the import bundle in `folder`.

    Raises:
        SetupError: a setting, the database or the bundle is invalid.
    """
    settings = setup_settings.from_environ(os.environ)
    import superset_config  # noqa: PLC0415  ends the process with its own message when a setting is missing

    assets = bundle.read(folder).connected_to(settings.warehouse_uri)
    key_check = _keyed(superset_config.SECRET_KEY, "secret key")
    wanted = CompletedSetup(_fingerprint(assets, settings, superset_config), key_check, assets.uuids)
    uri = superset_config.SQLALCHEMY_DATABASE_URI.replace("+psycopg2", "")
    with open_setup_state(uri) as state:
        last = state.last()
        if last is not None and last.key_check != key_check:
            raise SetupError(
                "DATAFLIX_SUPERSET_SECRET_KEY is not the one that Superset's passwords are encrypted with. "
                "Put the old one back into .env, or drop the database superset and start again."
            )
        if last == wanted and _has_password(state, settings.admin_password):
            say("  Superset is set up already")
            return
        _run_steps(assets, settings, before=last.uuids if last else {})
        state.write(wanted)


def _run_steps(
    assets: bundle.Bundle, settings: setup_settings.Settings, before: dict[str, list[str]]
) -> None:
    # Superset logs hundreds of lines that only its developers need.
    logging.disable(logging.INFO)
    # SQLAlchemy warns about Superset's own models.
    logging.getLogger("py.warnings").setLevel(logging.ERROR)
    with _step("Superset's code loaded"):
        from superset.app import create_app  # noqa: PLC0415  takes four seconds; not needed when nothing changed

        app = create_app()
    # The service logs no values, because they may be personal. Here they are values of the bundle's files.
    for handler in logging.getLogger().handlers:
        handler.setFormatter(logging.Formatter())
    with app.app_context():
        with _step("Superset's tables"):
            from dataflix_superset import application  # noqa: PLC0415  needs the application's context

            application.migrate()
        with _step("Superset's roles"):
            application.create_roles()
        application.set_admin(settings.admin_password)
        with _step("Superset's dashboards"):
            application.import_bundle(assets, settings.reader_password)
            deleted = application.remove_dropped(before, assets)
    counts = ", ".join(f"{len(uuids)} {kind}" for kind, uuids in assets.uuids.items())
    say(f"  {counts} in Superset" + (f"; {deleted} old ones deleted" if deleted else ""))


def _fingerprint(assets: bundle.Bundle, settings: setup_settings.Settings, config: object) -> str:
    parts = [
        version("apache-superset"),
        Path(str(config.__file__)).read_text(),  # type: ignore[attr-defined]
        assets.digest(),
        settings.reader_password,
    ]
    # Keyed, so that the row reveals nothing about the password.
    return _keyed(config.SECRET_KEY, json.dumps(parts))  # type: ignore[attr-defined]


def _keyed(key: str, text: str) -> str:
    return hmac.new(key.encode(), text.encode(), hashlib.sha256).hexdigest()


def _has_password(state: SetupState, password: str) -> bool:
    from werkzeug.security import check_password_hash  # noqa: PLC0415  belongs to Superset's environment

    stored = state.password_hash("admin")
    return stored is not None and check_password_hash(stored, password)


@contextmanager
def _step(what: str) -> Iterator[None]:
    """Print how long the block took. After an error it prints nothing: the error speaks for itself."""
    began = time.monotonic()
    yield
    say(f"  {what:<44} {time.monotonic() - began:6.1f} s")
