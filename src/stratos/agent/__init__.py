"""What runs on a host. So far: the software of hosts that are simulated."""
