"""The last word on a write: built-in admission plugins and admission webhooks, run by the registry's verbs."""
