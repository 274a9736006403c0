"""Engines: ways to compute a WaveNet fast. A reader who wants to know what is computed needs `models.network` alone.

Which one runs when:

* training and evaluation on a CPU: `cpu_train`, compiled by numba; `eager` (the torch module itself) for nets that the
  kernels do not support, for other number types, and without numba.
* training on a GPU: `gpu`, many models of one shape as one.
* streaming (blocks, moving knobs): `cpu_stream`, compiled by numba; without it `models.playback.eager_player`.

The compiled engines never see an architecture: a net becomes a *program*, a list of a few kinds of operations on rows
of samples, and kernels that were compiled once interpret it.

* `base`: the protocol `Engine`
* `eager`: the torch module as an engine
* `select`: the choice of engine and device
* `jit`: compilation by numba, cached on disk
* `simd`: vectors and register tiles in numba
* `activation_codes`, `activations`: the codes of activations and gates in programs, and their formulas for kernels
* `cpu_train`, `cpu_stream`, `gpu`: the compiled engines
"""
