"""Builds the model bundles that the culturetag server loads.

The package exports a MERT-layout backbone to TorchScript, joins it with probe heads into a bundle
(`culturetag.v1.BundleManifest`), and holds the eager PyTorch reference that the server is tested against.
Importing the package itself loads nothing heavy; its modules import PyTorch when they are imported.
"""
