"""Sets Superset up: tables, roles, administrator, dashboards. Run again, it changes only what changed.

Use: superset/.venv/bin/python scripts/setup_superset.py [BUNDLE]    (DATAFLIX_ settings in the environment)

Dashboards, charts and data sets of `superset/assets` are written over what Superset holds under the same
UUIDs, whenever the files, Superset's version or a password changed; what has left the files is deleted. What
people made themselves is never touched.
"""

# Superset has an environment of its own, which the type checker does not look into.
# mypy: disable-error-code="import-not-found"

import argparse
import hashlib
import hmac
import json
import logging
import os
import sys
from importlib.metadata import version
from pathlib import Path

from dataflix_stack.progress import say, step

ROOT = Path(__file__).resolve().parents[1]
# Superset finds its configuration there, and so do we.
sys.path.insert(0, str(ROOT / "superset"))

from superset_setup import bundle, record  # noqa: E402  after the path
from superset_setup import settings as setup_settings  # noqa: E402
from superset_setup.errors import SetupError  # noqa: E402


def main() -> None:
    """Set up; exit 1 with a message when it can't be done."""
    parser = argparse.ArgumentParser(description="Set Superset up; run again, it changes only what changed.")
    parser.add_argument("bundle", nargs="?", type=Path, default=ROOT / "superset" / "assets")
    try:
        set_up(parser.parse_args().bundle)
    except SetupError as error:
        sys.exit(f"setup_superset: {error}")


def set_up(folder: Path) -> None:
    """Do what has not been done yet, with the import bundle in `folder`.

    Raises:
        SetupError: a setting, the database or the bundle is not usable.
    """
    settings = setup_settings.from_environ(os.environ)
    import superset_config  # noqa: PLC0415  ends the process with its own message when a setting is missing

    assets = bundle.read(folder).connected_to(settings.warehouse_uri)
    key_check = _keyed(superset_config.SECRET_KEY, "secret key")
    wanted = record.Done(_fingerprint(assets, settings, superset_config), key_check, assets.uuids)
    uri = superset_config.SQLALCHEMY_DATABASE_URI.replace("+psycopg2", "")
    with record.opened(uri) as kept:
        last = kept.last()
        if last is not None and last.key_check != key_check:
            raise SetupError(
                "DATAFLIX_SUPERSET_SECRET_KEY is not the one that Superset's passwords are encrypted with. "
                "Put the old one back into .env, or drop the database superset and start anew."
            )
        if last == wanted and _has_password(kept, settings.admin_password):
            say("  Superset is set up already")
            return
        _work(assets, settings, before=last.uuids if last else {})
        kept.write(wanted)


def _work(assets: bundle.Bundle, settings: setup_settings.Settings, before: dict[str, list[str]]) -> None:
    # Superset tells hundreds of things that only its developers want to know.
    logging.disable(logging.INFO)
    # Warnings of SQLAlchemy about Superset's own models.
    logging.getLogger("py.warnings").setLevel(logging.ERROR)
    with step("Superset's code loaded"):
        from superset.app import create_app  # noqa: PLC0415  four seconds, not spent when nothing is to do

        app = create_app()
    # The service logs no values, for people's may be among them. Here they are those of the bundle's files.
    for handler in logging.getLogger().handlers:
        handler.setFormatter(logging.Formatter())
    with app.app_context():
        with step("Superset's tables"):
            from superset_setup import steps  # noqa: PLC0415  needs the application's context

            steps.migrate()
        with step("Superset's roles"):
            steps.create_roles()
        steps.set_admin(settings.admin_password)
        with step("Superset's dashboards"):
            steps.import_bundle(assets, settings.reader_password)
            deleted = steps.remove_dropped(before, assets)
    counts = ", ".join(f"{len(uuids)} {kind}" for kind, uuids in assets.uuids.items())
    say(f"  {counts} in Superset" + (f"; {deleted} old ones deleted" if deleted else ""))


def _fingerprint(assets: bundle.Bundle, settings: setup_settings.Settings, config: object) -> str:
    parts = [
        version("apache-superset"),
        Path(str(config.__file__)).read_text(),  # type: ignore[attr-defined]
        assets.digest(),
        settings.reader_password,
    ]
    # Keyed, so that the row tells nothing about the password in it.
    return _keyed(config.SECRET_KEY, json.dumps(parts))  # type: ignore[attr-defined]


def _keyed(key: str, text: str) -> str:
    return hmac.new(key.encode(), text.encode(), hashlib.sha256).hexdigest()


def _has_password(kept: record.Record, password: str) -> bool:
    from werkzeug.security import check_password_hash  # noqa: PLC0415  belongs to Superset's environment

    stored = kept.password_hash("admin")
    return stored is not None and check_password_hash(stored, password)


if __name__ == "__main__":
    main()
