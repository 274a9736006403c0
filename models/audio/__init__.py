"""Samples: read, written, interpolated, measured, synthesized.

* `io`: mono audio files read and written in blocks, resampled where asked
* `interpolation`: a signal between its samples: fractional delays and drifting clocks
* `bands`: levels in frequency bands
* `decibels`: levels in decibels
* `error_ratio`: the error-to-signal ratio
* `loudest`: the loudest stretch of a signal
* `calibration`: the analog levels that digital full scale stands for
* `guitar`: a synthetic guitar signal
"""
