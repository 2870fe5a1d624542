"""Configuration: from text to typed settings and jobs."""
