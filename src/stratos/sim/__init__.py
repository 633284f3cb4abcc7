"""The simulator: real controllers, everything else simulated, faults on purpose, and laws checked all along."""
