"""HTTP: the codec (bytes to calls, results to bytes), the gateway, connections and the server."""
