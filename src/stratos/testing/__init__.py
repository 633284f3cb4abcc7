"""What tests are made of, shipped for us and for others: virtual time, builders and contract suites."""
