"""Telling other systems: events kept with the rows that they tell of, and sinks that take them, each at least once."""
