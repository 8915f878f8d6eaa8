"""Programs that benchmarks run in a process of their own."""
