"""A search as data.

* `study`: the config of a search
* `points`: points read from a file
* `space`: its axes, and the model of each point
* `shapes`: dilation families and named layer stacks
* `named_recipes`: names of published recipes
* `locate`: from a model back to a point
"""
