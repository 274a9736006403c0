"""Checks of a knob dataset before training.

* `check`: measures every take and applies the rules
* `measurements`: levels, clipping, dropouts, noise, hum of one file
* `similarity`: distances between takes
* `mislabels`: takes whose sound contradicts their label
* `rules`: from measurements to findings
* `report`: findings and reports as data
"""
