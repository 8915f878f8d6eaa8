"""/users/ID/blocks: films that are not recommended to one user."""

from flask import Blueprint, Response

from dataflix_backend.errors import NotFoundProblem, Problem
from dataflix_backend.operation import NO_BODY, Operation, answer, operation
from dataflix_backend.queries.blocks import delete_block, list_blocks, write_block
from dataflix_backend.schemas.common import Page, page_meta
from dataflix_backend.schemas.rules import Block, BlockList, NewBlock
from dataflix_backend.services import services

blueprint = Blueprint("blocks", __name__)


@blueprint.get("/users/<user_id>/blocks")
@operation(Operation("What a user is spared", "rules", {200: BlockList}, query=Page, scope="read"))
def index(user_id: int, query: Page) -> Response:
    """Answer one page of the films that are blocked for a user now."""
    found = list_blocks(services().database, user_id, query)
    if found is None:
        raise NotFoundProblem("user", user_id)
    data, total = found
    return answer({"data": data, "meta": page_meta(query, len(data), total)})


@blueprint.post("/users/<user_id>/blocks")
@operation(
    Operation(
        "Block a film for a user",
        "rules",
        {201: Block, 200: Block},
        body=NewBlock,
        description="201 when it is new, 200 when it was changed. The film is not recommended until it ends.",
        scope="write",
    )
)
def write(user_id: int, body: NewBlock) -> Response:
    """Store a block and answer it."""
    block, is_new = write_block(services().database, user_id, body)
    return answer(block, 201 if is_new else 200)


@blueprint.delete("/users/<user_id>/blocks/<movie_id>")
@operation(Operation("Take a block away", "rules", {204: NO_BODY}, scope="write"))
def delete(user_id: int, movie_id: int) -> Response:
    """Delete a block."""
    if not delete_block(services().database, user_id, movie_id):
        raise Problem(404, "unknown-block", f"Movie {movie_id} is not blocked for user {user_id}.")
    return Response(status=204)
