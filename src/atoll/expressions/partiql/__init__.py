"""The language of PartiQL statements, which become the same trees as expressions. Pure."""
