"""What the doors (command line, dashboard, service) do with several packages at once."""
