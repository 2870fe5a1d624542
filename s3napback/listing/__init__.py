"""The report of ``list``, and the two ways in which it is shown."""
