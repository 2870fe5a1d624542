"""How one archive is planned and made."""
