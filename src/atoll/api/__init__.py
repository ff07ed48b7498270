"""The operations of the AWS APIs: the functions that run them, and the shapes of their requests."""
