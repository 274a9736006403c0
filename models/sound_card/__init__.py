"""Sound cards: what plays a signal and records the answer at once.

* `card`: what a sound card is to the rest of the code, and what it returns
* `portaudio`: the cards of this machine, by PortAudio
* `resampled`: a card that runs at another rate than the signal
* `simulated`: a card that is calculated, to try a session without one
* `meter`: peak, RMS and clipping of what comes in
"""
