"""The parts of `jobs.finetune`: what it trains on, one step, and the loop that Ray Train runs on each worker."""
