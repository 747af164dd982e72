"""The autograder: a trusted judge, an untrusted worker in a sandbox, and what surrounds them."""
