"""The embedded Kubernetes API: ``http`` over ``registry`` over ``storage``. It depends on no other room but ``base``
and the custom resources it ships, and could be lifted out and run alone.
"""
