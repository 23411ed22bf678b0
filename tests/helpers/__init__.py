"""What the tests share: made-up inputs, a Hub on the loopback address, commands in processes."""
