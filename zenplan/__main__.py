"""``python -m zenplan``."""

from zenplan.commands.main import main

main()
