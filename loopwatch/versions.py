"""Which version of a package is installed."""

from importlib.metadata import PackageNotFoundError, version

__all__ = ["version_of"]


def version_of(package: str, otherwise: str) -> str:
    """By the metadata that installers leave; `otherwise` where there are none, as in a checkout that is only on the path."""
    try:
        return version(package)
    except PackageNotFoundError:
        return otherwise
