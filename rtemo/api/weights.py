"""Where a bundle's files may come from, as a card states it."""

import msgspec


class PackageFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A file inside an installed Python package.

    Attributes:
        package: Name that Python imports it by, with dots for what is inside; it is never imported.
        path: Path inside it, with slashes.
        distribution: Name to install it by, where that is not the package's with `-` for `_`.
        size_bytes: Size, to name the part that is damaged; 0 when not stated.
    """

    package: str
    path: str
    distribution: str = ""
    size_bytes: int = 0

    @property
    def to_install(self) -> str:
        """What `pip install` is given."""
        return self.distribution or self.package.partition(".")[0].replace("_", "-")


class FromFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="file"):
    """Another name for the file, beside the card.

    Attributes:
        path: Path relative to the card's folder, with slashes.
        licence: Where it is not that of the card.
    """

    path: str
    licence: str = ""


class FromPackage(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="package"):
    """The file lies whole in an installed package, and is read there.

    Attributes:
        file: Which file of which package.
        licence: Of the package, where it is not that of the card.
    """

    file: PackageFile
    licence: str = ""


class FromParts(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="parts"):
    """The file is cut over several packages, and is joined once into the user's cache.

    Attributes:
        parts: The parts in order; the file is nothing but one after the other.
        licence: Of the packages, where it is not that of the card.
    """

    parts: tuple[PackageFile, ...]
    licence: str = ""


class FromUrl(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="url"):
    """The file can be fetched, by `rtemo fetch` and by nothing else.

    Attributes:
        url: Address of the bare file, http or https.
        licence: Where it is not that of the card.
    """

    url: str
    licence: str = ""


WeightsSource = FromFile | FromPackage | FromParts | FromUrl
"""One place a file may come from; told apart by its field `type`."""


class BundleFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A file that a model needs besides its weights, such as a vocabulary.

    Attributes:
        sha256: Hash of the file in hexadecimal.
        size_bytes: Size; 0 when not stated.
        sources: Where else it may come from, in order.
    """

    sha256: str
    size_bytes: int = 0
    sources: tuple[WeightsSource, ...] = ()
