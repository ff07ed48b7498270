"""Tables in many regions: how regions ask each other, and what may go wrong on the way."""
