"""`stratos convert`: node templates written for other tools, as NodeTemplates."""
