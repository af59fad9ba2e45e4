"""The commands of ``waypost``, a file each; the only ones beside wiring that read settings."""
