"""The steps that need Superset itself; each works inside the application's context.

All in one process: the command line would load Superset anew for each of them, which costs more than the
work.
"""

# Superset has an environment of its own, which the type checker does not look into.
# mypy: disable-error-code="attr-defined, import-not-found, import-untyped, untyped-decorator"

from typing import Any

from flask_migrate import upgrade
from marshmallow import ValidationError
from superset import appbuilder, security_manager
from superset.commands.exceptions import CommandException, CommandInvalidError
from superset.commands.importers.v1.assets import ImportAssetsCommand
from superset.connectors.sqla.models import SqlaTable
from superset.extensions import db
from superset.models.dashboard import Dashboard
from superset.models.slice import Slice
from superset.utils.core import override_user
from superset.utils.decorators import transaction

from dataflix_superset.bundle import Bundle
from dataflix_superset.errors import SetupError

ADMIN = "admin"


def migrate() -> None:
    """Bring the metadata's tables to this version of Superset."""
    upgrade()


@transaction()
def create_roles() -> None:
    """Create what this version knows of permissions and roles; what people added stays."""
    appbuilder.add_permissions(update_perms=True)
    security_manager.sync_role_definitions()


@transaction()
def set_admin(password: str) -> None:
    """Create the administrator, or give the existing one this password."""
    user = security_manager.find_user(username=ADMIN)
    if user is None:
        role = security_manager.find_role("Admin")
        # An address that can't receive mail: nothing is ever sent.
        email = "admin@localhost"
        security_manager.add_user(ADMIN, "Dataflix", "Administrator", email, role, password=password)
    else:
        security_manager.reset_password(user.id, password)


def import_bundle(bundle: Bundle, password: str) -> None:
    """Import everything, over what is there.

    Args:
        password: of the warehouse's reader; Superset keeps it encrypted.

    Raises:
        SetupError: Superset refused the bundle; nothing was changed.
    """
    passwords = dict.fromkeys(bundle.databases, password)
    with override_user(security_manager.find_user(username=ADMIN)):
        try:
            ImportAssetsCommand(bundle.contents, passwords=passwords).run()
        except CommandInvalidError as error:
            raise SetupError(f"Superset refused the dashboards: {error.normalized_messages()}") from error
        except (CommandException, ValidationError) as error:
            reason = error.__cause__ or error
            raise SetupError(f"Superset could not import the dashboards: {reason}") from error


@transaction()
def remove_dropped(before: dict[str, list[str]], bundle: Bundle) -> int:
    """Delete what the last bundle held and this one does not; a data set that people's charts use stays.

    Returns:
        how many objects were deleted.
    """
    deleted = 0
    for kind, model in (("dashboards", Dashboard), ("charts", Slice), ("datasets", SqlaTable)):
        for uuid in set(before.get(kind, [])) - set(bundle.uuids[kind]):
            found: Any = db.session.query(model).filter_by(uuid=uuid).one_or_none()
            if found is None or (kind == "datasets" and found.slices):
                continue
            db.session.delete(found)
            deleted += 1
        db.session.flush()
    return deleted
