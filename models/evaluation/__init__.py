"""Evaluation: the errors of a model, and its behavior between the recorded settings.

* `distances`: errors between two sounds
* `scoring`: errors of a model per knob setting
* `robustness`: a model at knob settings that were not recorded
* `evaluate`: all of it for a finished run
* `take_player`: what plays takes: a model, a `.nam` file, or renderings of another program
* `take_scores`: errors of these at the takes of a manifest
"""
