"""Builds and starts our images on a machine without a container engine; see `scripts/prove_images.sh`."""
