"""`python -m kubatch`."""

from kubatch.cli.main import main

main()
