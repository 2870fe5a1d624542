"""What the original tool, a Perl script with js3tream, left in a store: read, and never changed."""
