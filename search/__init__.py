"""The search over models: which trial comes next, who trains it, what is best.

`config` (a search as data), `optimizer` (sampler, pruner, Pareto fronts), `study` (record, scheduler, board), `storage` (files behind a URI),
`backends` (this process, Ray Tune), `report` (the board as a page), `run` (a study from config to board), `launch` (here, through a client, as a
job).
"""
