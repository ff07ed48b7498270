"""Authentication of requests: credentials and signatures."""
