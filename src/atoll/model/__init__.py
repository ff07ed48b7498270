"""The data model: values, keys and document paths. Pure."""
