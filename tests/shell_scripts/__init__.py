"""How shells ask for completion."""
