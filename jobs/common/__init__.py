"""What several jobs share: durable runs, reports, stages and workers. Knows no job."""
