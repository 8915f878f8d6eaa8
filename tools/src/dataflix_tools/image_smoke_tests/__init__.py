"""Builds and starts our images on a machine without a container engine; see `scripts/test_images.sh`."""
