"""Man pages, made when the package is built: of the commands' help, the directives, and the manual's topics."""
