"""The operations that run PartiQL statements."""
