"""What the outside sees of a running Stratos: log lines, metrics and Kubernetes Events, as data. Others send them."""
