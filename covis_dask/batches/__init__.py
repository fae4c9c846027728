"""Many runs on a cluster: request, plan, submission, status, report and history of batches."""

__all__: list[str] = []
