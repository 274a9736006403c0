"""Formats of other programs: `nam`, the files of Neural Amp Modeler."""
