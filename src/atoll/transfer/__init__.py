"""Tables to and from files in buckets: exports and imports as the service lays them out.

buckets     where the files are: a directory, S3 or another object store that speaks its protocol, or memory
lines       an item as a line: DynamoDB JSON and Ion text
exports     the jobs that write a table, as it was at a moment or as it changed in a window
imports     the jobs that make a table of files
kinesis     where the streams are: Kinesis, or files of JSON lines
destinations   sends the changes of tables to streams
sources     the records of files: read, expanded (compression), split and parsed (parsing) piece by piece
"""
