"""The simulator: real controllers on simulated bad days. One seed decides everything, and laws are checked all along.

`scenario` draws pools and what people do with them, `faults` what goes wrong, `doors` stand between the components and
the API and cloud so that it can, `world` shows how things really are, `laws` and `rest` judge it, and `run` plays one
seed from beginning to end.
"""
