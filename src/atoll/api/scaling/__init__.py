"""The operations of Application Auto Scaling, for the capacity of DynamoDB's tables and indexes."""
