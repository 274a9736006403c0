"""Places where packages are stored and shared: shelves (plain folders) and hubs.

* `protocol`: what a shelf and a hub have in common (`Zoo`), and the result of a pull
* `shelf`: a zoo in a folder
* `hub`: a zoo on a Hugging Face hub
* `resolve`: from what a person names to a zoo, a package, a model or a view of an amp
* `pull_plan`: what a pull would fetch; pins and limits
* `push_plan`: what a push would change; what may be published
* `lockfile`: `zoo.lock`: amps pinned to a commit
* `shelf_index`: the rows of a shelf, kept and checked by stamps
* `origins`: which commit of which hub a package is
* `index`: the last list of a hub, stored on disk
* `known`: names of amps and knobs that are known without a network
* `filters`: filters and orders of a list
* `compare`: the differences between two amps
* `nearest`: the amps of a zoo, for a search's warm start
* `folders`: the user's own shelf, and the removal of stale folders
* `errors`: `Unreachable`
"""
