"""What differs by database: SQLite, PostgreSQL, MariaDB and MySQL."""
