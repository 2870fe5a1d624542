"""From facts to one page that a browser shows: no script, nothing from elsewhere. Nothing here looks at anything."""
