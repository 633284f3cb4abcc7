"""Why something is where it is: from the objects of a cluster to a story. Thinks only; `stratos.cli.explain` asks."""
