"""What the doors (command line, demo, later service and dashboard) do with several packages at once."""
