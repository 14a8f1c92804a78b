"""Who may do what: keys of the HTTP service, and the log of what was done."""
