"""Formats of other programs.

* `nam`: files of Neural Amp Modeler
* `player`: the file of the C player in `player/`
"""
