"""Guitar amp models with live knobs: recorded, trained, scored and played; knows nothing of searches and zoos.

* `core`: files, documents, errors, the machine
* `knobs`: knobs and settings
* `audio`: samples in, out and between
* `network`: the WaveNet as data and as a module; knobs folded into weights
* `engines`: fast computation of a WaveNet, compiled
* `artifacts`: a trained model on disk
* `playback`: audio through a trained model
* `formats`: file formats of other programs
* `recordings`: takes, from manifest to tensors, and what is wrong with them
* `reporting`: the common style of pages and charts
* `capture`: what to record
* `sound_card`: playing and recording at once
* `sessions`: a planned session, recorded take by take
* `evaluation`: errors of a model
* `training`: from recipe and takes to a run folder
"""
