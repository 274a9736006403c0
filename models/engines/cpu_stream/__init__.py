"""Streaming on a CPU: a net is lowered to a program of three operations, which compiled kernels run block by block.

* `program`: the program as data: buffers, operations, coefficients. No Python object is needed to play it.
* `lowering`: from a WaveNet to its program
* `kernels`: the interpreter, compiled by numba
* `player`: one stream with its state
"""
