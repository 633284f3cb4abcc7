"""What every namespace is given: the account its pods run under, and the certificate they trust the server by."""
