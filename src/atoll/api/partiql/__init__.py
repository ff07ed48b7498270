"""The PartiQL operations: statements become the same reads and writes as other operations.

bound          a statement of a request, with its values
select         SELECT: ranges and pages
items          statements about single items, as writes
statement, batch, transaction    the operations
"""
