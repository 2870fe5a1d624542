"""A first configuration, from a few answers: what is asked, what is written, and what starts it every night."""
