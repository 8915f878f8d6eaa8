"""What can go wrong with a backup or a restore."""


class BackupError(Exception):
    """Nothing usable came of it; the message says what to do."""
