"""What the doors (command line, dashboard, later the service) do with several packages at once."""
