"""`atoll import` and `atoll export`: read tables from files, and write tables to files, only through the public API.

The endpoint may be any that speaks DynamoDB's protocol: the service, Atoll, DynamoDB Local. Like `replicate`, this
package is a client; it uses the calls, rates and progress of `replicate`.

items       attribute values from DynamoDB JSON, plain JSON, CSV and Parquet
sources     the items of files: the format of a file, and how far it was read
importing   files to a table; its progress is stored in a file
exporting   a table to files: a parallel scan, a file for each segment
command     options, signals, exit codes
"""
