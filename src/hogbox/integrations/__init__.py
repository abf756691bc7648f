"""What joins hogbox to frameworks: one module and one extra for each. Nothing else of hogbox imports these."""
