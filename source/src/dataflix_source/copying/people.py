"""People of the source become users."""

from dataclasses import dataclass

from dataflix_source.client import Session
from dataflix_source.description.model import Description
from dataflix_source.errors import RefusedError
from dataflix_source.queries import STAGED

STAGE = "stage_people"
# Nobody can have an address below it (RFC 2606).
_NO_DOMAIN = "source.invalid"


@dataclass(frozen=True, slots=True)
class Changes:
    """What a copy did to one entity.

    Attributes:
        entity: as in source.copies.
        compared: whether all rows were read.
        read: rows that came from the source.
        left_out: rows of it that have no place here.
    """

    entity: str
    compared: bool
    read: int
    inserted: int
    updated: int
    deleted: int
    left_out: int

    @property
    def touched(self) -> bool:
        """Whether anything is other than before."""
        return bool(self.inserted or self.updated or self.deleted)


def create_stage(own: Session) -> None:
    """Create the empty staging table; it ends with the transaction."""
    columns = ", ".join(f"{name} {kind}" for name, kind in STAGED["people"])
    own.execute(
        f"CREATE TEMPORARY TABLE {STAGE} ({columns}, user_id bigint, is_new boolean NOT NULL DEFAULT false)"
        " ON COMMIT DROP"
    )


def stage_target() -> str:
    """Return what COPY fills."""
    return f"{STAGE} ({', '.join(name for name, _ in STAGED['people'])})"


def find_gone(own: Session, keys: list[str] | None) -> int:
    """Collect the people who are not in the source any more, in the table gone_people.

    Args:
        own: our own Postgres, with the staged people.
        keys: ids of whom was asked for; None for all.

    Returns:
        Their number.

    Raises:
        RefusedError: an id stands twice in what was read.
    """
    _refuse_shared_ids(own)
    own.execute(f"ANALYZE {STAGE}")
    own.execute(
        "CREATE TEMPORARY TABLE gone_people ON COMMIT DROP AS"
        f" SELECT p.source_key, p.user_id FROM source.people AS p WHERE NOT EXISTS (SELECT FROM {STAGE} AS s"
        " WHERE s.source_key = p.source_key) AND (%s::text[] IS NULL OR p.source_key = ANY(%s))",
        (keys, keys),
    )
    return int(own.value("SELECT count(*) FROM gone_people"))


def _refuse_shared_ids(own: Session) -> None:
    shared = own.value(
        f"SELECT count(*) FROM (SELECT FROM {STAGE} GROUP BY source_key HAVING count(*) > 1) AS shared"
    )
    if shared:
        raise RefusedError(
            f"{shared:,} id(s) of people stand in several rows of the source. Two people can't have one id. "
            "`./run.sh source check` says where; nothing was changed."
        )


def apply(own: Session, description: Description, *, compared: bool, read: int) -> Changes:
    """Bring users in line with the staged people."""
    deleted = own.row(
        "SELECT count(erasure_id) FROM gone_people CROSS JOIN LATERAL erase_user(gone_people.user_id)"
    )[0]
    suppressed = 0
    if own.value("SELECT pii.any_suppressed()"):
        suppressed = own.execute(f"DELETE FROM {STAGE} WHERE pii.is_suppressed(source_key)")
    own.execute(
        f"UPDATE {STAGE} AS s SET user_id = p.user_id FROM source.people AS p WHERE p.source_key ="
        f" s.source_key"
    )
    inserted = own.execute(
        f"UPDATE {STAGE} SET user_id = nextval(pg_get_serial_sequence('public.users', 'user_id')), is_new ="
        f" true"
        " WHERE user_id IS NULL"
    )
    slug = _slug(description.words.person)
    own.execute(
        "INSERT INTO users (user_id, username, email, first_name, last_name, city, state, country,"
        " birth_year,"
        " created_at)"
        " SELECT user_id, %s || user_id, %s || user_id || %s, coalesce(first_name, ''), coalesce(last_name,"
        " ''), city,"
        f" state, country, birth_year, coalesce(joined_at, now()) FROM {STAGE} WHERE is_new",
        (slug, slug, f"@{_NO_DOMAIN}"),
    )
    own.execute(
        f"INSERT INTO source.people (source_key, user_id) SELECT source_key, user_id FROM {STAGE} WHERE"
        f" is_new"
    )
    updated = own.execute(
        "UPDATE users AS u SET first_name = coalesce(s.first_name, ''), last_name = coalesce(s.last_name,"
        " ''),"
        " city = s.city, state = s.state, country = s.country, birth_year = s.birth_year,"
        f" created_at = coalesce(s.joined_at, u.created_at) FROM {STAGE} AS s"
        " WHERE u.user_id = s.user_id AND NOT s.is_new"
        " AND (u.first_name, u.last_name, u.city, u.state, u.country, u.birth_year, u.created_at) IS"
        " DISTINCT FROM"
        " (coalesce(s.first_name, ''), coalesce(s.last_name, ''), s.city, s.state, s.country, s.birth_year,"
        " coalesce(s.joined_at, u.created_at))"
    )
    for name in ("username", "email"):
        if name in description.people.attributes:
            updated += _names(own, name, slug)
    return Changes("people", compared, read, inserted, updated, int(deleted), suppressed)


def _names(own: Session, name: str, slug: str) -> int:
    """Write usernames or addresses that our table can hold and one person alone has; others stay made up."""
    made_up = "%(slug)s || s.user_id" + (" || %(domain)s" if name == "email" else "")
    fits = {
        "username": r"s.username ~ '^\S+$' AND char_length(s.username) <= 64",
        "email": r"s.email ~ '^[^@\s]+@[^@\s]+$' AND char_length(s.email) <= 254",
    }[name]
    same = {"username": "username_key({})", "email": 'lower({} COLLATE "C")'}[name]
    values = {"slug": slug, "domain": f"@{_NO_DOMAIN}"}
    # Of several people with one address the first keeps it.
    own.execute(
        f"CREATE TEMPORARY TABLE wanted_{name} ON COMMIT DROP AS"
        f" SELECT s.user_id, {made_up} AS made_up, CASE WHEN {fits} AND row_number() OVER ("
        f" PARTITION BY {same.format(f's.{name}')} ORDER BY s.user_id) = 1 THEN s.{name} END AS wanted"
        f" FROM {STAGE} AS s",
        values,
    )
    # First nobody has a name that is about to change, so that two people can swap theirs.
    own.execute(
        f"UPDATE users AS u SET {name} = w.made_up FROM wanted_{name} AS w"
        f" WHERE u.user_id = w.user_id AND u.{name} IS DISTINCT FROM w.wanted AND u.{name} <> w.made_up"
    )
    return own.execute(
        f"UPDATE users AS u SET {name} = w.wanted FROM wanted_{name} AS w"
        f" WHERE u.user_id = w.user_id AND w.wanted IS NOT NULL AND u.{name} <> w.wanted AND NOT EXISTS ("
        f"SELECT FROM users AS o WHERE {same.format(f'o.{name}')} = {same.format('w.wanted')}"
        " AND o.user_id <> w.user_id)"
    )


def _slug(word: str) -> str:
    ascii_letters = "".join(letter for letter in word.lower() if letter.isascii() and letter.isalnum())
    return f"{ascii_letters or 'person'}-"
