demo nonsense
