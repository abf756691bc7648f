"""Integrations with frameworks: one module and one extra for each. The rest of hogbox does not import them."""
