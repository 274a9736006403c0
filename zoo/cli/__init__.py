"""The command `zoo`: everything that a user types and reads. Heavy libraries are imported inside the commands.

The command itself
* `main`: the subcommands in groups, and their exit codes
* `options`: types and decorators of options
* `output`: everything that is printed
* `errors`: exception to message, hint and exit code

Commands, in order of use
* `plan`: plan
* `record`, `session`: record a session, or import its takes
* `recordings`: signal, check, align
* `train`: train, quickstart
* `search`: search, board
* `package`: package
* `transfer`: push, pull, verify, rm
* `updates`: outdated, lock
* `browse`: list, show, knobs, diff, doctor
* `play`: render, export
* `live`: play --live
* `signing`: key, trust

What they use
* `quickstart`: the steps of `zoo quickstart`
* `doctor`: the checks of `zoo doctor`
* `schema`, `reference`: the JSON schemas of the files that users write, and two pages of the reference; scripts
* `keys`: single keys of a person
* `views`: tables, sentences and pages from plain data
"""
