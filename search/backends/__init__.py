"""Who trains trials.

local: this process. ray_tune: Ray Tune. pruned_trials: the actor that tells Ray's workers what was pruned.
environment: what Ray reads from the environment.
"""
