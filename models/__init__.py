"""Recordings to a trained model to sound; knows nothing of the search or the zoo.

From the bottom up: `core` (files, errors, cache), `knobs`, `audio`, `network` (the WaveNet family), `engines` (everything compiled),
`artifacts` (a model on disk), `playback`, `formats` (NAM files), `recordings` (takes and their checks), `capture` (what to record),
`reporting` (pages and charts), `evaluation`, `training`.
"""
