"""What a store holds, whose it is, and what of it is still needed."""
