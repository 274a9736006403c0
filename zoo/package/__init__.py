"""A package: a trained model as a folder that is made, verified, signed and played again.

Making one:
* `build`: a finished run becomes a package (`PackageRequest`, `package`)
* `finished_run`: everything that packaging needs of a run, loaded once
* `demo_clips`: audio clips of the model, and a held take beside it
* `charts`: error per held setting, spectrum per knob position
* `provenance`: `training.json`: where the model came from
* `privacy`: no token and no private path is published
* `licenses`: the licenses that a hub knows

The card `README.md`:
* `card`: made, parsed, merged with the owner's own text
* `card_page`: the page in Markdown
* `card_schema`: the front matter as data, and the row of `zoo list`
* `escaping`: free text in it
* `front_matter`: its front matter, plain YAML
* `vocabulary`: the kinds of device and the tones

Reading one:
* `layout`: names and sizes of the files
* `manifest`: sha256 and size of each file; reading of JSON documents
* `presets`: `presets.json`
* `verify`: byte for byte as the manifest lists
* `loudness`: no model is louder than it claims
* `replay`: the clips played again
* `signing`: signatures, keys, pinned keys
"""
