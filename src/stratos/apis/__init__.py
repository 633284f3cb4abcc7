"""The resource types, one module per kind.

Built-in kinds hold only the fields that decide something here, so that a cache of many thousand stays small; whoever
writes such an object sends a patch, never the narrowed object. Our own kinds are complete, and their
CustomResourceDefinitions are generated from them (`stratos.apis.crds`).
"""
