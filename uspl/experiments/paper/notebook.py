"""A notebook, run by papermill."""

from pathlib import Path
from typing import Any


def execute(page: Path, target: Path, parameters: dict[str, Any], **options: Any) -> None:
    """Run a notebook by papermill into `target`; what it and its kernel say is encrypted where it can be.

    The kernel is shut down here: papermill would interrupt it first, which a kernel without work reports as an error.
    """
    import papermill
    from jupyter_client.manager import KernelManager

    kernel = KernelManager(kernel_name="python3", transport_encryption="auto")
    try:
        papermill.execute_notebook(page, target, parameters, kernel_name="python3", km=kernel, **options)
    finally:
        if kernel.has_kernel:
            kernel.request_shutdown()
            kernel.finish_shutdown()
        kernel.cleanup_resources()
