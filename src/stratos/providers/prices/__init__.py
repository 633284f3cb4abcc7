"""What clouds publish about their machines and prices, read anew. One adapter a cloud; none knows another."""
