"""Let ``python -m s3napback`` do what the console script does."""

from s3napback.cli import main

main()
