"""Vector indexes in the store: their definitions, entries and change logs. `atoll.vectors` searches them."""
