"""Everything that the program can say, collected from its code: ``python -m tests.messages`` writes the lists."""
