"""Bad input of every kind, and the class of outcomes that each case gives; see matrix.py."""
