"""What can go wrong with a backup or a restore."""


class BackupError(Exception):
    """A backup or restore failed; the message says what to do."""
