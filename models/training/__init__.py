"""Recipe and recordings to run folder.

`config` is the recipe as data, `fit` the whole way, `trainer` one run. What a run is made of: `windows` (what a step
trains on), `composing` (windows that nobody recorded), `objective` (loss and clipping), `optimizers` (update rules), `schedule` (learning rate and averaging),
`state` (what steps change), `checkpoint` (files). Who takes the steps: `solo` on a CPU, `stacked` several runs at once;
`placement` chooses.
"""
