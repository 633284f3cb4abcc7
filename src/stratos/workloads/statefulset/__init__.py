"""StatefulSets: pods with ordinals, brought up, replaced and taken down in order."""
