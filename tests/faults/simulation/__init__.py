"""The protocol of commits and claims against a simulated store, catalogue, cluster and clock.

One seed is one schedule: who does what when, who is killed or stopped, whose call fails or whose answer is
lost. The driver, its claims, the catalogue and the commit are the program's own; only what surrounds them is
made here. See docs/reliability.md.
"""
