"""An amp for the C player in `player/`: one file, `amp.bin`, and the library that plays it.

* `layout`: the records of the file, its version and its limits
* `writer`: from a model to the file
* `reader`: from the file to its content, with the checks of the C reader
* `build`: compiles the library
* `offline`: plays a model by the C player, numba or numpy, whichever is here
* `native`: plays the file from Python by the library; needs no torch
"""
