"""The application's database: tables, statements, the callers' transactions, migrations."""
