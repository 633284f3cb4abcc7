"""What manifests would cost: the pods they ask for, on the machines that a cloud would be asked for."""
