"""``python -m stratos.cli``, where the command is not on the path."""

from stratos.cli.main import main

main()
