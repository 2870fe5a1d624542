"""One file for each command: what it does, in order."""
