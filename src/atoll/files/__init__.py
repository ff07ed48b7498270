"""`atoll import` and `atoll export`: tables from and to files, over the public API alone.

The endpoint may be any that speaks DynamoDB's protocol: the service, Atoll, DynamoDB Local. This package is a client,
as `replicate` is, whose calls, rates and progress it shares.

items       attribute values as JSON, plain JSON, CSV and Parquet have them
sources     the items of files: which format a file has, and how far it was read
importing   files to a table; progress is stored beside them
exporting   a table to files: a parallel scan, a file for each segment
command     options, signals, exit codes
"""
