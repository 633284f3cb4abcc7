"""What clouds sell: instance types, where they are offered, at which price, and how much of them a pod may use."""
