"""Training: from a recipe and recordings to a run folder.

* `config`: a recipe as data
* `fit`: a whole training, from loading to evaluation
* `trainer`: the training of one run
* `windows`: the recorded windows of each step
* `composing`: windows of takes that were not recorded
* `objective`: loss and gradient clipping
* `silence`: what the model plays in silence, as part of the loss
* `offset`: what is left of that, removed at the end
* `optimizers`: update rules
* `schedule`: learning rate and averaging
* `state`: what steps change
* `checkpoint`: a run's state on disk
* `solo`: steps of one run, on a CPU
* `stacked`: steps of several runs at once
* `placement`: the faster of the two
"""
