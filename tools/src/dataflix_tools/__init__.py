"""What only developers run: lineage of columns, smoke tests of the images, audits of the locks."""
