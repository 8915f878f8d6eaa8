"""/rules: what changes everybody's rankings for a time."""

from flask import Blueprint, Response

from dataflix_backend.queries.rules import delete_rule, list_rules, write_rule
from dataflix_backend.schemas.common import page_meta
from dataflix_backend.schemas.rules import NewRule, Rule, RuleList, RuleQuery
from dataflix_backend.web.current_services import services
from dataflix_backend.web.operation import NO_BODY, Operation, answer, operation

blueprint = Blueprint("rules", __name__)


@blueprint.get("/rules")
@operation(Operation("List rules", "rules", {200: RuleList}, query=RuleQuery, scope="read"))
def index(query: RuleQuery) -> Response:
    """Answer one page of rules."""
    data, total = list_rules(services().database, query)
    return answer({"data": data, "meta": page_meta(query, len(data), total)})


@blueprint.post("/rules")
@operation(
    Operation(
        "Make a rule",
        "rules",
        {201: Rule},
        body=NewRule,
        problems=(404,),
        description="The rule counts in the next recommendations. No rule shows a movie that a person has "
        "seen, blocked or filtered out. Of several rules for a movie, a pin wins over a bury and a bury over "
        "a boost; of one kind, the newest wins.",
        scope="admin",
    )
)
def write(body: NewRule) -> Response:
    """Store a rule and answer it."""
    return answer(write_rule(services().database, body), 201)


@blueprint.delete("/rules/<rule_id>")
@operation(Operation("Delete a rule", "rules", {204: NO_BODY}, scope="admin"))
def delete(rule_id: int) -> Response:
    """Delete a rule."""
    delete_rule(services().database, rule_id)
    return Response(status=204)
