"""What can be told about a project without building it, where both definitions and Dockerfiles are needed.

Knows nothing of terminals."""
