"""HTTP: bytes to calls, results to bytes (codec), sockets (server)."""
