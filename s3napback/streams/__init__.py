"""Bytes on their way from a source to a store, and back: processes, transformations and the pipes between them."""
