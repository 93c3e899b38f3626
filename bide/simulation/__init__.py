"""A simulation of a queue's workers: discrete events at exact times, for `bide scaling simulate`.

Tasks arrive, wait first in, first out, hold one of a worker's places for a while, and are
done. Rules say when workers start and leave; the product's own is `bide.autoscaler`.
"""
