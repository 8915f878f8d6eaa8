"""Problem details have the members of RFC 9457."""

from dataflix_common.problem import problem_details


def test_the_title_is_the_phrase_of_the_status() -> None:
    assert problem_details(404, "There is no movie with the id 7.") == {
        "type": "about:blank",
        "title": "Not Found",
        "status": 404,
        "detail": "There is no movie with the id 7.",
    }


def test_other_members_are_kept() -> None:
    body = problem_details(422, "wrong", kind="urn:x", title="Wrong", errors=[{"field": "limit"}])
    assert (body["type"], body["title"], body["errors"]) == ("urn:x", "Wrong", [{"field": "limit"}])
