"""Who is calling, and may they: authentication, RBAC, certificates and tokens of the embedded API."""
