"""Telling other systems: events kept with the rows that they tell of, and the sinks that take them.

Each event arrives at least once, with the same id each time.
"""
