"""The file `dataflix.yml`: what it may say, how it is read, and its JSON Schema."""
