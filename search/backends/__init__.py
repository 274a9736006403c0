"""Backends: training of the trials that a scheduler suggests.

* `local`: training in this process
* `ray_tune`: training by Ray Tune
* `pruned_trials`: the actor that informs Ray's workers of pruned trials
* `environment`: what Ray reads from the environment
"""
