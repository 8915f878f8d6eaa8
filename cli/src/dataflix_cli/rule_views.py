"""How rules, blocks and feedback look to a person."""

from dataflix_cli.output import Output
from dataflix_cli.text import minute, safe
from dataflix_cli.views import Json, page_note


def rules(output: Output, answer: Json) -> None:
    """Show rules."""
    rows = [
        (
            row["rule_id"],
            _action(row),
            row["movie_id"],
            row["title"],
            row["owner"],
            minute(row["starts_at"]),
            minute(row["ends_at"]),
            "yes" if row["is_active"] else "no",
            row["note"],
        )
        for row in answer["data"]
    ]
    output.table((">Rule", "Action", ">Id", "Title", "Owner", "From", "Until", "Active", "Note"), rows)
    page_note(output, answer["meta"])


def rule_added(output: Output, row: Json) -> None:
    """Confirm a rule."""
    output.done(f"Rule {row['rule_id']}: {_action(row)} {row['title']} until {minute(row['ends_at'])}")


def rule_removed(output: Output, row: Json) -> None:
    """Confirm that a rule is removed."""
    output.done(f"Rule {row['rule_id']} removed")


def blocks(output: Output, answer: Json) -> None:
    """Show the blocked movies of a user."""
    rows = [
        (
            row["movie_id"],
            row["title"],
            row["owner"],
            minute(row["ends_at"]) if row["ends_at"] else "for good",
        )
        for row in answer["data"]
    ]
    output.table((">Id", "Title", "By", "Until"), rows)
    page_note(output, answer["meta"])


def blocked(output: Output, row: Json) -> None:
    """Confirm a block."""
    output.done(f"{row['title']}: blocked {_until(row)}")


def unblocked(output: Output, row: Json) -> None:
    """Confirm that a block is removed."""
    source = output.source()
    item, person = f"{source.item.capitalize()} {safe(row['movie_id'])}", safe(row["user_id"])
    output.done(f"{item} may be recommended to {source.person} {person} again")


def feedback_recorded(output: Output, row: Json) -> None:
    """Confirm feedback."""
    made_by = f"model {row['model_version']}" if row["model_version"] else "popularity"
    position = row["position"]
    item = f"{output.source().item.capitalize()} {safe(row['movie_id'])}"
    output.done(f"{item} {row['event']} at position {position} of a list by {made_by}")


def _action(row: Json) -> str:
    if row["place"] is not None:
        return f"pin to {row['place']}"
    return f"boost by {row['strength']:g}" if row["strength"] is not None else str(row["kind"])


def _until(row: Json) -> str:
    return f"until {minute(row['ends_at'])}" if row["ends_at"] else "for good"
