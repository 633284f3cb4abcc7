"""``stratos controller``: the controllers against a cluster that is there already, with machines of a real cloud."""
