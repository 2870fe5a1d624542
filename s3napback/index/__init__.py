"""What the tree was when an archive was made, name by name, and what a later archive therefore has to take."""
