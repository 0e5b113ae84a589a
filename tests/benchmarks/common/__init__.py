"""What several benchmarks share: shapes of models, turns of ways that are compared, memory, jobs that are killed."""
