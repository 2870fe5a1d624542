"""From archives in a store back to what was backed up."""
