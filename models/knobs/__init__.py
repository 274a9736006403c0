"""Knobs and settings: types, text, distances, automation.

* `schema`: knobs, switches, settings, and their encoding as numbers for the network
* `text`: settings as text, and back
* `geometry`: distances between settings, and how well a set of settings covers the knobs
* `automation`: knobs that move while a file plays
"""
