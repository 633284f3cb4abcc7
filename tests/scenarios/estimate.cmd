estimate -f examples/estimates/ray-service.yaml
