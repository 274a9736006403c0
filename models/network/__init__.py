"""The model family: a WaveNet whose knobs enter as extra inputs or as FiLM.

* `activation`: nonlinearities as data
* `architecture`: a WaveNet as data (`WaveNetConfig`), with its receptive field and cost
* `wavenet`: the torch module, the reference that every engine must match
* `knob_encoder`: learned tapers and features between the knobs and the layers
* `folding`: still knobs, FiLM included, folded into the weights of a WaveNet without knobs; differentiable
* `silence`: the same net in silence, with single taps
* `baking`: one knob setting folded for good: the model that a stock `.nam` file holds.
"""
