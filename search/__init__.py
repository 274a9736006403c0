"""The search for the best models of one or several amps, over architectures and learning settings.

config     a search as data
optimizer  which trial comes next, which trials stop early, Pareto fronts
storage    files behind a URI
study      one study, from the record of its trials to the board
backends   who trains the trials: this process, Ray Tune
report     the board as a page
run        one search on this machine, from config to board
launch     where a search runs: here, through a Ray client, as a Ray job
"""
