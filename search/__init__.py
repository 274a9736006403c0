"""The search for the best models of one or several amps, over architectures and learning settings.

* `config`: a search as data
* `optimizer`: which trial comes next, which trials stop early, Pareto fronts
* `storage`: folders and recordings at URIs
* `study`: one study, from the record of its trials to the board
* `backends`: training of trials: in this process, on Ray Tune
* `report`: the board as a page
* `bench`: named recipes compared on virtual devices
* `run_options`: how a search is run
* `run`: one search on this machine, from config to board
* `launch`: a search in this process, through a Ray client, as a Ray job
"""
