"""An amp as a plugin for a digital audio workstation (DAW): VST 3, CLAP and LV2, around the C player in `player/`.

* `targets`: the systems, and the library of each
* `bundles`: the files that a host loads
* `turtle`: what LV2 says of a plugin, as text
"""
