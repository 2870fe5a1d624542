"""Drills, with real servers."""
