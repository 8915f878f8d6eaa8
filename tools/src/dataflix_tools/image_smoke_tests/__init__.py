"""Builds our images and starts them on a machine without a container engine; see `scripts/test_images.sh`."""
