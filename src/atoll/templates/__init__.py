"""Create the tables that a file declares when a server starts: CloudFormation, SAM, or bodies of CreateTable.

documents     the file, as YAML or JSON
intrinsics    the functions of CloudFormation in it, and its parameters and conditions
resources     the requests that create the declared tables
global_tables    AWS::DynamoDB::GlobalTable as the parts of an ordinary table
declarations  the requests are tried on a scratch region, then sent to the real one
unfinished    what is left to be sent, if the server is killed meanwhile
"""
