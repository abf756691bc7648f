"""How filters compare a property: one module for each family of operators, and a table of all."""
