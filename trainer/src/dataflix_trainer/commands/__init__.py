"""What the commands of ``trainer`` do, and how they print their results."""
