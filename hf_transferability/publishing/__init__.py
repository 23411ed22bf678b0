"""Rows of results become a dataset on the Hub."""
