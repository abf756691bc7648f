"""Speed, and nothing else: deleting this package changes no answer.

`FlagSet` asks it if it is there. A flag is compiled to a function of its own; where all flags of a set are often asked
for, they are compiled to a few functions.

Fast paths count no steps. So in `evaluate_all` a costly flag may find more left of the shared budget, and have
a value where it would be inconclusive without them (`evaluation_limit`).
"""
