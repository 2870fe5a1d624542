"""What a configuration is going to do, from the functions by which it does it. Nothing here looks at anything."""
