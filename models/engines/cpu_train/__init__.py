"""Training on a CPU: forward and backward pass of a folded WaveNet as a program that compiled kernels run.

* `program`: from an architecture and a length of input to the passes, as lists of instructions
* `kernels`: the interpreter of five instructions, compiled by numba
* `engine`: the `Engine` around them: folding, workspaces, autograd
"""
