"""Lambda and API Gateway on one machine: runs deployment packages with the real runtime client."""
