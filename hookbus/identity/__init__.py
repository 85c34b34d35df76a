"""Who may do what on a broker with authentication: permissions, keys, the folder of both."""
