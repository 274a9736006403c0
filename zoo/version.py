"""The version of the package `ampzoo`."""

__version__ = "0.1.0"
