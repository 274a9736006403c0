"""`.nam` files of Neural Amp Modeler: stock ones, and live ones whose knobs are extra inputs.

* `writer`: a model to a file
* `reader`: a file to a model
* `parsing`: the `config` of a file to an architecture, with errors that name the place
* `knob_encoder`: a knob encoder as the condition network (`condition_dsp`) of a live file, and back
"""
