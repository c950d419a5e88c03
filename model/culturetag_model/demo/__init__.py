"""The demo bundle: a small backbone and six probes, trained on music that this package composes and renders.

A clip's labels are decided before it sounds: the tables in `data/` say what each label means in music, `compose` turns
a recipe into a score, and `synth` plays the score through FluidSynth. What the trained model says about real recordings
means nothing; it exists so that the whole service can be tried without anybody else's weights or recordings.
"""
