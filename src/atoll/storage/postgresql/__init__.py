"""A store in a PostgreSQL database, which any number of front ends share. Begin with `engine`, which lists the
modules."""
