"""Commands for people, over the public APIs of any endpoint: show tables, query them, follow their streams.

session      common options, the client, exit codes
expressions  conditions with values in them, as people write them
values       attribute values as text
output       items as a table, JSON lines or CSV, page by page
tables, query, sql, tail   the commands
"""
