"""Writes the lists of what the program can say; ``git diff tests/messages`` then shows what to read."""

from tests.messages.collecting import write_lists

if __name__ == "__main__":
    write_lists()
