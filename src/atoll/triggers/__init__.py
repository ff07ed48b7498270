"""Functions that run when items change: event source mappings from streams to functions and webhooks."""
