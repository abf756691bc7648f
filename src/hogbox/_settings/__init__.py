"""Settings: each one is a field of a settings class, with the row of the table that says where it is read and shown."""
