"""/rules: what somebody wants of every ranking for a time."""

from flask import Blueprint, Response

from dataflix_backend.errors import Problem
from dataflix_backend.operation import NO_BODY, Operation, answer, operation
from dataflix_backend.queries.rules import delete_rule, list_rules, write_rule
from dataflix_backend.schemas.common import page_meta
from dataflix_backend.schemas.rules import NewRule, Rule, RuleList, RuleQuery
from dataflix_backend.services import services

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
        description="It counts in the next recommendations, for everybody to whom the film may be shown: no "
        "rule shows what was seen, blocked or filtered out. Of several rules for a film a pin wins over a "
        "bury and that over a boost, of one kind the newest.",
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
    if not delete_rule(services().database, rule_id):
        raise Problem(404, "unknown-rule", f"There is no rule with the id {rule_id}.")
    return Response(status=204)
