"""How the API's answers look to a person, in commands and in the menu."""

from typing import Any

from dataflix_cli.output import Output
from dataflix_cli.text import day, minute, safe, title_and_year

Json = dict[str, Any]

_NOTHING = "Nothing found."


def users(output: Output, answer: Json) -> None:
    """Show a list of users."""
    rows = [
        (row["user_id"], row["username"], row["ratings_count"], row["watched_count"], day(row["created_at"]))
        for row in answer["data"]
    ]
    output.table((">Id", "Username", ">Ratings", ">Watched", "Since"), rows)
    page_note(output, answer["meta"])


def user(output: Output, row: Json) -> None:
    """Show one user."""
    name = f"{row['first_name']} {row['last_name']}".strip()
    place = [part for part in (row["city"], row["state"], row["country"]) if part]
    output.fields(
        [
            ("Id", row["user_id"]),
            ("Username", row["username"]),
            ("E-mail", row["email"]),
            ("Name", name),
            ("Lives in", place),
            ("Born", row["birth_year"]),
            ("Ratings", row["ratings_count"]),
            ("Watched", row["watched_count"]),
            ("Since", day(row["created_at"])),
        ]
    )


def erasure(output: Output, row: Json) -> None:
    """Show what an erasure removed, and when."""
    verified = row["verified_at"]
    output.fields(
        [
            ("Erasure", row["erasure_id"]),
            ("Deleted here", minute(row["requested_at"])),
            ("Ratings", row["ratings_count"]),
            ("Watched", row["watched_count"]),
            ("Blocks", row["blocks_count"]),
            ("Feedback", row["feedback_count"]),
            ("Events of the source", row.get("interactions_count") or None),
            (
                "Warehouse",
                f"erased since {minute(verified)}" if verified else "at the end of the next pipeline run",
            ),
            ("Rows removed there", row["warehouse_rows_count"]),
        ]
    )


def movies(output: Output, answer: Json) -> None:
    """Show a list of movies."""
    rows = [
        (row["movie_id"], row["title"], row["release_year"], row["genres"], row["director"])
        for row in answer["data"]
    ]
    output.table((">Id", "Title", ">Year", "Genres", "Director"), rows)
    page_note(output, answer["meta"])


def movie(output: Output, row: Json) -> None:
    """Show one movie."""
    minutes = row["duration_minutes"]
    mean = row["mean_rating"]
    output.fields(
        [
            ("Id", row["movie_id"]),
            ("Title", row["title"]),
            ("Year", row["release_year"]),
            ("Genres", row["genres"]),
            ("Director", row["director"]),
            ("Length", f"{minutes} min" if minutes else None),
            ("Rated", f"{mean:.2f} on average from {_counted(row['ratings_count'])}" if mean else "not yet"),
            ("About", row["description"]),
            ("IMDb", row["imdb_id"]),
            *((name, _attribute(value)) for name, value in sorted(row.get("attributes", {}).items())),
        ]
    )


def ranking(output: Output, answer: Json) -> None:
    """Show a ranking of movies."""
    rows = [
        (row["rank"], row["movie_id"], row["title"], row["release_year"], row["genres"], row["score"])
        for row in answer["data"]
    ]
    output.table((">#", ">Id", "Title", ">Year", "Genres", ">Score"), rows)
    if not rows:
        output.note(_NOTHING)
    model_note(output, answer["meta"])


def recommendations(output: Output, answer: Json) -> None:
    """Show recommendations with their reasons."""
    rows = [
        (row["rank"], row["movie_id"], title_and_year(row), row["genres"], row["score"], _why(row))
        for row in answer["data"]
    ]
    if rows:
        output.table((">#", ">Id", "Title", "Genres", ">Score", "Why"), rows)
    list_note(output, answer)


def explained_recommendations(output: Output, answer: Json) -> None:
    """Show how much each of the user's movies adds to the scores of the recommendations."""
    rows = []
    for row in answer["data"]:
        reason = row["reason"]
        rows.append((row["rank"], title_and_year(row), row["score"], _why(row)))
        rows += [("", "", part["contribution"], _part(part)) for part in reason["because"]]
        if reason["because"] and reason["other"]:
            rows.append(("", "", reason["other"], f"all other {output.source().items}"))
        # A server from before December 2026 has none.
        if reason.get("popularity"):
            rows.append(("", "", reason["popularity"], "popular lately"))
    if rows:
        output.table((">#", "Title", ">Score", "Why, and its parts"), rows)
    list_note(output, answer)


def ratings(output: Output, answer: Json) -> None:
    """Show a user's ratings."""
    thumb = {True: "liked", False: "disliked", None: ""}
    rows = [
        (
            row["movie_id"],
            title_and_year(row),
            f"{row['rating']:.1f}",
            thumb[row["liked"]],
            minute(row["rated_at"]),
        )
        for row in answer["data"]
    ]
    output.table((">Id", "Title", ">Rating", "Thumb", "When"), rows)
    page_note(output, answer["meta"])


def watched(output: Output, answer: Json) -> None:
    """Show the movies that a user has watched."""
    rows = [
        (row["movie_id"], title_and_year(row), row["genres"], minute(row["watched_at"]))
        for row in answer["data"]
    ]
    output.table((">Id", "Title", "Genres", "When"), rows)
    page_note(output, answer["meta"])


def genres(output: Output, answer: Json) -> None:
    """Show the genres."""
    output.table(
        ("Genre", f">{output.source().items.capitalize()}"),
        [(row["genre"], row["movies_count"]) for row in answer["data"]],
    )
    if not answer["data"]:
        output.note(_NOTHING)


def model(output: Output, answer: Json) -> None:
    """Show the served model."""
    registry_reached_at = answer["registry_reached_at"]
    source = output.source()
    output.fields(
        [
            ("Version", answer["version"]),
            ("Trained", minute(answer["trained_at"])),
            ("In use since", minute(answer["loaded_at"])),
            ("Registry reached", minute(registry_reached_at) if registry_reached_at else "never"),
            *([("Champion", answer["champion_problem"])] if answer.get("champion_problem") else []),
            *([("Held", _held(answer))] if answer.get("held") else []),
            ("Factors", answer["factors"]),
            (source.people.capitalize(), answer["users_count"]),
            (source.items.capitalize(), answer["movies_count"]),
            ("Interactions", answer["interactions_count"]),
            *((name, value) for name, value in sorted(answer["metrics"].items())),
        ]
    )


def rated(output: Output, row: Json) -> None:
    """Confirm a rating."""
    output.done(f"{row['title']}: {row['rating']:.1f} of 5")


def marked_as_watched(output: Output, row: Json) -> None:
    """Confirm a view."""
    output.done(f"{row['title']}: watched {minute(row['watched_at'])}")


def page_note(output: Output, meta: Json) -> None:
    """Print which part of a list is shown, unless it is the whole list."""
    total, count = meta["total"], meta["count"]
    if count == 0:
        output.note(f"This page is empty; the list has {total} rows." if total else _NOTHING)
    elif count < total:
        output.note(f"{meta['offset'] + 1} to {meta['offset'] + count} of {total}.")


def list_note(output: Output, answer: Json) -> None:
    """Print the model and id of a list of recommendations, and the movies that it ignored."""
    meta = answer["meta"]
    if not answer["data"]:
        item = output.source().item
        output.note(f"There is no {item} to recommend that was not seen, blocked or filtered out.")
        return
    model_note(output, meta)
    if meta["ignored"]:
        ids = ", ".join(safe(movie_id) for movie_id in meta["ignored"])
        output.note(f"The model does not know these {output.source().items} and ignores them: {ids}.")
    output.note(f"List {meta['recommendation_id']}: send feedback on it with dataflix feedback.")


def model_note(output: Output, meta: Json) -> None:
    """Print which model or fallback made a ranking."""
    if meta["source"] == "model":
        output.note(f"By model {meta['model_version']}, trained {minute(meta['trained_at'])}.")
    elif meta["source"] == "genres":
        source = output.source()
        items = source.items.capitalize()
        output.note(f"{items} of the same genres: the model does not know this {source.item}.")
    else:
        output.note("By popularity: there is no trained model yet.")
    if meta["stale"]:
        data = (
            f"data as of {minute(meta['as_of'])}"
            if meta["as_of"]
            else f"no history of the {output.source().person}"
        )
        output.note(f"The database does not answer: the API uses {data}.")


def rating_removed(output: Output, row: Json) -> None:
    """Confirm that a rating is removed."""
    source = output.source()
    item, person = safe(row["movie_id"]), safe(row["user_id"])
    output.done(f"Rating of {source.item} {item} by {source.person} {person} removed")


def view_removed(output: Output, row: Json) -> None:
    """Confirm that a movie does not count as watched any more."""
    source = output.source()
    item, person = safe(row["movie_id"]), safe(row["user_id"])
    output.done(f"{source.item.capitalize()} {item} is not watched by {source.person} {person} any more")


def health(output: Output, answer: Json) -> None:
    """Show the state of the API and its parts."""
    output.fields([("Status", answer["status"]), *answer["checks"].items()])


def _held(answer: Json) -> str:
    since, reason = answer["held_since"], answer["held_reason"]
    held = f"since {minute(since)}" if since else "yes"
    return f"{held}, until trainer release" + (f": {reason}" if reason else "")


def _attribute(value: object) -> object:
    return value if value is None or isinstance(value, list) else str(value)


def _why(row: Json) -> str:
    rule = row["rule"]
    if rule is None:
        return str(row["reason"]["text"])
    action = {"pin": "Pinned", "boost": "Boosted", "bury": "Buried"}[rule["kind"]]
    return f"{action} by rule {rule['rule_id']}. {row['reason']['text']}"


def _part(part: Json) -> str:
    done = part.get("kind") or "watched"
    event = done if part["rating"] is None else f"{part['rating']:g}★"
    return f"from {part['title']} ({safe(event)})"


def _counted(ratings_count: int) -> str:
    return "1 rating" if ratings_count == 1 else f"{ratings_count} ratings"
