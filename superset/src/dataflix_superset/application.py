"""The steps that need Superset itself. Each runs inside the application's context.

All run in one process: Superset's command line loads Superset for each step, which takes longer than the
step.
"""

# Superset has an environment of its own, which the type checker does not see.
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
    """Migrate the tables of the metadata to this version of Superset."""
    upgrade()


@transaction()
def create_roles() -> None:
    """Create the permissions and roles of this version. Roles that people added stay."""
    appbuilder.add_permissions(update_perms=True)
    security_manager.sync_role_definitions()


@transaction()
def set_admin(password: str) -> None:
    """Create the administrator, or set the password of the existing one."""
    user = security_manager.find_user(username=ADMIN)
    if user is None:
        role = security_manager.find_role("Admin")
        # An address that can't receive mail; nothing is ever sent.
        email = "admin@localhost"
        security_manager.add_user(ADMIN, "Dataflix", "Administrator", email, role, password=password)
    else:
        security_manager.reset_password(user.id, password)


def import_bundle(bundle: Bundle, password: str) -> None:
    """Import all objects; they replace existing ones with the same UUIDs.

    Args:
        bundle: the objects.
        password: of the warehouse's user `reader`; Superset encrypts it.

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
    """Delete objects of the last bundle that are not in this one. A data set that people's charts use stays.

    Returns:
        The number of deleted objects.
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
