"""Which database the events come from. A model of one database says nothing about the ids of another."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SourceIdentity:
    """A database, as table ``source.copies`` of Dataflix's Postgres has it.

    Attributes:
        name: The source's name in its description.
        system_identifier: Of its cluster, chosen by initdb; empty where the server does not say it.
        database_oid: Of the database in its cluster.
    """

    name: str
    system_identifier: str
    database_oid: int

    def __str__(self) -> str:
        if self == OWN_SOURCE:
            return "Dataflix's own Postgres"
        return f"{self.name} (database {self.database_oid} of cluster {self.system_identifier or 'unknown'})"


# People and movies that no other database brought, such as the sample and MovieLens. It is the same in every
# installation, so that a restore on another machine keeps its models.
OWN_SOURCE = SourceIdentity("dataflix", "", 0)
