"""Copperline finds manufacturing defects on printed circuit boards and turns them into quality decisions."""
