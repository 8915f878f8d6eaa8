"""What opens on a terminal when no command is given."""
