# Thin names for tasks.py, where the tasks are: `make test`, `make check`, `make bench`, `make docs`, …
TASKS := setup check test e2e-aws kill-matrix bench docs scenarios-accept lock
.PHONY: $(TASKS)
$(TASKS):
	@python3 tasks.py $@ $(ARGS)
