"""Packages, shelves, hubs and the command `zoo`."""

__version__ = "0.1.0"
