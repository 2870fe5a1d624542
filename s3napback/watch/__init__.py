"""The word that a run leaves in the store, and what it tells whoever looks. Nothing here looks at anything."""
