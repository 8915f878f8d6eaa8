"""Extract and load from Postgres into ClickHouse.

Layers, each of which imports only those below it:

1. ``cli``, ``steps``: what a person or an orchestrator calls.
2. ``loading``, ``erasure``: one load of one table; the removal of people from the warehouse.
3. ``source``, ``warehouse``: each answers for its own side alone.
4. ``clients``: connections to Postgres and ClickHouse, the trainer's job API, the dbt project.

``tables`` and ``columns`` define what is loaded. All layers share them, ``fingerprint``, ``settings``,
``errors`` and ``log``.
"""
