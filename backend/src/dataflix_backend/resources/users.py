"""/users."""

from flask import Blueprint, Response

from dataflix_backend.queries.users import create_user, get_user, list_users
from dataflix_backend.schemas.common import page_meta
from dataflix_backend.schemas.users import NewUser, User, UserList, UserQuery
from dataflix_backend.services.source.own_tables import require_own_tables
from dataflix_backend.web.current_services import services
from dataflix_backend.web.operation import Operation, answer, operation

blueprint = Blueprint("users", __name__)


@blueprint.get("/users")
@operation(Operation("List users", "users", {200: UserList}, query=UserQuery, scope="admin"))
def index(query: UserQuery) -> Response:
    """Answer one page of users."""
    data, total = list_users(services().database, query)
    return answer({"data": data, "meta": page_meta(query, len(data), total)})


@blueprint.post("/users")
@operation(Operation("Create a user", "users", {201: User}, body=NewUser, problems=(409,), scope="admin"))
def create(body: NewUser) -> Response:
    """Create a user and answer it."""
    require_own_tables(services().source.current)
    user = create_user(services().database, body)
    return answer(user, 201, {"Location": f"/users/{user['user_id']}"})


@blueprint.get("/users/<user_id>")
@operation(Operation("Show a user", "users", {200: User}, scope="read"))
def show(user_id: int) -> Response:
    """Answer one user."""
    return answer(get_user(services().database, user_id))
