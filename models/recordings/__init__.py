"""Recordings of an amp: from manifests to aligned, split tensors.

* `config`: which manifests to use, and how their takes are split and aligned
* `manifest`: a manifest as knobs and takes
* `manifest_formats`: our own and other trainers' JSON formats
* `take_reader`: decodes takes one at a time
* `alignment`: estimates a take's delay, polarity and drift
* `response_cache`: responses of takes that were measured before
* `whitened_correlation`: the cross-correlation that alignment is made with
* `clock_drift`: separates clock drift from an amp's own delay
* `loading`: reads, aligns and splits the recordings of one amp
* `splitting`: training, validation and held pieces
* `dataset`: the recordings in memory, `Piece` and `AmpData`
* `linear_knobs`: knobs that only filter after the distortion, and their filters
* `take_store`: decoded takes in memory or in mapped files
* `align_dataset`: writes aligned copies of takes
* `checks`: finds what is wrong with takes
"""
