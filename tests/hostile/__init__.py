"""Whoever can write to the store, or to a folder that is restored into, gains nothing outside of what is restored."""
