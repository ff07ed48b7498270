"""What an item is: values, keys and document paths. Pure."""
