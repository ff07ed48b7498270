"""PartiQL's operations: statements become the reads and writes of the others.

bound          a statement of a request, with its values
select         SELECT: ranges and pages
items          statements about single items, as writes
statement, batch, transaction    the operations
"""
