"""The job API: long-running trainer commands, started and watched over HTTP."""
