"""A store in a PostgreSQL database, which any number of front ends share. `engine` is the way in."""
