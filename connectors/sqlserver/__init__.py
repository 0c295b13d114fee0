"""SQL Server 2017 and later: a login on the server, a user in each database."""
