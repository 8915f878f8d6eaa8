"""The subcommands, one module per resource."""
