"""Backends: training of the trials that a scheduler suggests.

* `local`: training in this process
* `ray_tune`: training by Ray Tune
* `local_ray`: Ray started on this machine for one search
* `ray_parts`: whether the parts of Ray live
* `pruned_trials`: the actor that informs Ray's workers of pruned trials
* `environment`: what Ray reads from the environment
"""
