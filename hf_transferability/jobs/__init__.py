"""A ranking by jobs on the machines of the Hub: plan, run, collect."""
