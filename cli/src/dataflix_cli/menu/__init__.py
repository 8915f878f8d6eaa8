"""The menu that ``dataflix`` opens on a terminal when no command is given."""
