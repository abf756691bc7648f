"""The callers' transactions: which handles hogbox can use, and how a statement runs on them."""
