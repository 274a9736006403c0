"""One study: the record of its trials, its decisions, its result.

* `files`: names of its files
* `beginning`: what is refused before audio is read
* `lines`: the lines of the ledger as types
* `ledger`: the ledger as a file
* `state`: what the ledger states, in memory
* `objectives`: the fronts, and what a trial reached on each
* `constraints`: bounds that are checked before training
* `cost`: what a model costs to play
* `tasks`: what a backend trains
* `results`: what a backend reports
* `scheduler`: what to train next, and which trials continue
* `build`: a scheduler from a config
* `trial_group`: trials trained side by side
* `board`: the result as types
* `board_schema`: what a board in a file must be
* `summary`: the board of a ledger
* `lock`: one process per study
* `remote_copy`: a copy at a URI
* `warm_start`: first points from earlier results
"""
