"""Choice of the next trial and of the trials to stop; no torch, no Ray.

* `protocols`: what a search needs of a sampler and of a pruner
* `candidates`: points with all that is known before training
* `sampler`: candidates ranked by acquisition
* `surrogate`: predicted errors and the acquisition
* `pruner`: asynchronous successive halving
* `calibration`: where rungs are placed
* `pareto`: fronts, ranks, hypervolume
"""
