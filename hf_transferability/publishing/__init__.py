"""Publication of result tables as a dataset on the Hub."""
