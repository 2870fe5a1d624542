"""What a terminal, and systemd, are shown while a run goes on, and a table when it has ended."""
