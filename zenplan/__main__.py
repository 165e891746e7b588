"""``python -m zenplan``."""

from zenplan.cli import main

main()
