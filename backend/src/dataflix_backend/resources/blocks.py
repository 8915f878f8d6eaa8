"""/users/ID/blocks: movies that are not recommended to one user."""

from flask import Blueprint, Response

from dataflix_backend.queries.blocks import delete_block, list_blocks, write_block
from dataflix_backend.schemas.common import Page, page_meta
from dataflix_backend.schemas.rules import Block, BlockList, NewBlock
from dataflix_backend.web.current_services import services
from dataflix_backend.web.operation import NO_BODY, Operation, answer, operation

blueprint = Blueprint("blocks", __name__)


@blueprint.get("/users/<user_id>/blocks")
@operation(Operation("List a user's blocked movies", "rules", {200: BlockList}, query=Page, scope="read"))
def index(user_id: int, query: Page) -> Response:
    """Answer one page of a user's current blocks."""
    data, total = list_blocks(services().database, user_id, query)
    return answer({"data": data, "meta": page_meta(query, len(data), total)})


@blueprint.post("/users/<user_id>/blocks")
@operation(
    Operation(
        "Block a movie for a user",
        "rules",
        {201: Block, 200: Block},
        body=NewBlock,
        description="201 for a new block, 200 for a changed one. The movie is not recommended to the user "
        "until the block ends.",
        scope="write",
    )
)
def write(user_id: int, body: NewBlock) -> Response:
    """Store a block and answer it."""
    block, is_new = write_block(services().database, user_id, body)
    return answer(block, 201 if is_new else 200)


@blueprint.delete("/users/<user_id>/blocks/<movie_id>")
@operation(Operation("Delete a block", "rules", {204: NO_BODY}, scope="write"))
def delete(user_id: int, movie_id: int) -> Response:
    """Delete a block."""
    delete_block(services().database, user_id, movie_id)
    return Response(status=204)
