"""Amps as plugins for a DAW.

* `export`: one amp as plugins of its own
* `installed`: one plugin in the user's plugin folder that plays every amp of a shelf
"""
