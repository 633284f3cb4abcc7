"""A cloud that exists in memory only, and behaves like one that does not: slow, limited, forgetful and moody.

It is the reference implementation of the provider contract. All chance is drawn from one seeded generator, and all
waiting goes through asyncio, so that it runs in virtual time, in real time, and on a loop that hurries.
"""
