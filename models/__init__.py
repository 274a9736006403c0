"""Guitar amp models with live knobs: recorded, trained, scored and played; knows nothing of searches and zoos.

* `core`: files, documents, errors, the machine
* `knobs`: what a knob and a setting are
* `audio`: samples in, out and between
* `network`: the WaveNet as data and as a module; knobs folded into weights
* `engines`: everything compiled; a reader may skip it
* `artifacts`: a trained model on disk
* `playback`: a model plays
* `formats`: other people's file formats
* `recordings`: takes, from manifest to tensors, and what is wrong with them
* `reporting`: one look for all pages and charts
* `capture`: what to record
* `evaluation`: how good a model is
* `training`: from recipe and takes to a run folder
"""
