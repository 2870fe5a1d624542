"""From facts to a decision. Nothing here looks at anything: it knows no clock, no environment, no file and no store."""
