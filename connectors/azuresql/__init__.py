"""Azure SQL Database: no server to log in to, only databases, each with users of its own."""
