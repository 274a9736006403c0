"""Checks of a knob dataset before training.

* `check`: measures every take and applies the rules
* `measurements`: levels, clipping, dropouts, noise, hum of one file
* `contents`: what a take has of its dry signal, by `muted`, `splices`, `echoes` and `level_jumps`
* `similarity`: distances between takes
* `mislabels`: takes whose sound contradicts their label
* `rules`, `content_rules`: from measurements to findings
* `report`: findings and reports as data
"""
