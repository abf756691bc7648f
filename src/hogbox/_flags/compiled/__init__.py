"""Speed, and nothing else: deleting this package changes no answer.

`FlagSet` asks it if it is there. A flag is compiled to a function of its own; where all flags of a set are often asked
for, they are compiled to a few functions.
"""
