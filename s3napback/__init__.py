"""Cycling, incremental, compressed, encrypted backups to S3 or to a folder."""

__version__ = "1.1.0"
