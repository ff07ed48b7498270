"""Read and write units."""
