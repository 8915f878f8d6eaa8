"""What the tests of the ELT share."""
