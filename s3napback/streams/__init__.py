"""Bytes on their way from a source to a store, and back: processes, filters and the pipes between them."""
