"""Everything about gpg: which keys, with which command, and whether what it wrote is whole."""
