"""Playback: a trained model plays, live or from file to file.

* `stream`: block by block, live, with knobs still or moving; also a whole signal in memory (`play`)
* `live`: an amp played through a sound card, its knobs turned meanwhile
* `exact`: knobs that move by crossfades between still sounds
* `player`: what plays a net: numba, torch, or four players in turns
* `render`: from an audio file to an audio file of any length, on all cores
* `realtime_cost`: how much of a core a model takes in real time, measured once and stored
"""
