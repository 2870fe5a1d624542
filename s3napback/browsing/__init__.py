"""What was in a directory on a day, and what became of it, by what its archives tell of their members."""
