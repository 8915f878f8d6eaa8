"""Finds the pseudonyms of erased users, which no file of ClickHouse may contain at the end."""

from dataclasses import dataclass

from dataflix_elt.clients import clickhouse, postgres
from dataflix_elt.erasure.conditions import Conditions
from dataflix_elt.erasure.records import PendingErasure
from dataflix_elt.errors import ErasureIncompleteError
from dataflix_elt.tables import SOURCE_SCHEMA


@dataclass(frozen=True, slots=True)
class Pseudonyms:
    """What to search the files for.

    Attributes:
        by_user: of each erased user.
        in_use: those that another user has now.
    """

    by_user: dict[int, set[str]]
    in_use: set[str]

    @property
    def gone(self) -> list[str]:
        """Those that no file may contain."""
        return sorted(set().union(*self.by_user.values()) - self.in_use)


def find_pseudonyms(
    records: postgres.Session,
    target: clickhouse.Session,
    pending: list[PendingErasure],
    conditions: Conditions,
) -> Pseudonyms:
    """Return what the source keeps of the erased users until they are verified, and what the warehouse has.

    The warehouse alone would not do: a first try, or a load, removes the users from it.
    """
    users = {erasure.erasure_id: erasure.user_id for erasure in pending}
    by_user: dict[int, set[str]] = {user_id: set() for user_id in users.values()}
    in_use = set()
    for erasure_id, pseudonym, is_in_use in records.rows(
        f"SELECT erasure_id, pseudonym, is_in_use FROM {SOURCE_SCHEMA}._erased_pseudonyms"  # noqa: S608
        " WHERE erasure_id = ANY(%s)",
        (list(users),),
    ):
        by_user[users[erasure_id]].add(pseudonym)
        if is_in_use:
            in_use.add(pseudonym)
    path = target.path("users")
    for user_id, *pseudonyms in target.query(
        f"SELECT DISTINCT user_id, username_hash, email_hash FROM {path} WHERE {conditions.raw(path)}"  # noqa: S608
    ):
        by_user[int(user_id)].update(filter(None, pseudonyms))
    return Pseudonyms(by_user, in_use)


def require_pseudonyms(pending: list[PendingErasure], pseudonyms: Pseudonyms) -> None:
    """Check that there is something to search for, for each user.

    Raises:
        ErasureIncompleteError: nothing says what to search for.
    """
    unknown = [str(p.erasure_id) for p in pending if not pseudonyms.by_user[p.user_id]]
    if unknown:
        raise ErasureIncompleteError(
            f"Nothing says which pseudonyms the users of erasures {', '.join(unknown)} had, so no file can "
            "be searched for them: they were requested before Postgres kept the pseudonyms. Nothing was "
            "marked as verified. To remove the rows and record that no file was searched: "
            "elt erase --without-search"
        )
