"""A first configuration."""
