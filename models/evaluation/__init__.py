"""How good a model is.

`distances` are errors between two sounds, `scoring` the errors of a model per knob setting, `robustness` what its knobs
do where nothing was recorded, `evaluate` all of it for a finished run.
"""
