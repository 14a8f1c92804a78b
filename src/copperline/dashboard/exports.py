"""Tables as CSV that a spreadsheet opens without harm."""

from copperline.delivery.table_files import csv_bytes

__all__ = ["csv_bytes"]
