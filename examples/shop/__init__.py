"""A small shop whose events are captured in its own transactions: `python -m examples.shop`.

`shop` is what an application looks like with hogbox in it. The rest drives it, breaks things around it, and compares
what the shop's database says with what PostHog received.
"""
