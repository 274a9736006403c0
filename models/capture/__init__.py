"""The plan of a recording: settings, their order, the signal to play; also takes made without a recording.

* `plan`: which settings to record, by four designs, and the next ones to add
* `designs`: sets of settings: grids, corners, Latin hypercubes
* `ordering`: an order of settings in which few knobs are turned
* `session`: the manifests of takes that are to be recorded
* `sheet`: the page to record them by
* `excitation`: the signal to play through the device
* `nam_captures`: takes rendered from a folder of NAM captures
* `analog`: parts of virtual circuits
* `virtual_amp`: an amp known in closed form, and its takes
* `circuits`: virtual devices for benchmarks: the amp, a pedal, a preamp
"""
