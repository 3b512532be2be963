"""Names that people read as one, such as those of series and categories."""

from typing import Final

import polars as pl

_ZEROS: Final = r"^0+(\d)"
_SPACES: Final = r"\s+"


def alike(names: pl.Series) -> list[list[str]]:
    """Return groups of names that differ only in case, spaces, leading zeros or Unicode form, in order."""
    name = pl.col("name")
    plain = name.str.normalize("NFKC").str.to_lowercase().str.replace_all(_SPACES, "").str.replace(_ZEROS, "${1}")
    groups = (
        pl.DataFrame({"name": names.cast(pl.String).drop_nulls().unique()})
        .sort("name")
        .group_by(plain.alias("plain"), maintain_order=True)
        .agg("name")
    )
    return groups.filter(pl.col("name").list.len() > 1)["name"].to_list()


def note(names: pl.Series, what: str) -> str | None:
    """Return a sentence that names the first of such groups; None if all names are clearly different.

    Args:
        names: The names, repeated or not.
        what: What they name, in the plural.
    """
    groups = alike(names)
    if not groups:
        return None
    first, second, *_ = groups[0]
    more = f" (and {len(groups) - 1} more)" if len(groups) > 1 else ""
    return (
        f"{what} {first!r} and {second!r}{more} differ only in case, spaces, leading zeros or Unicode form: if they "
        "are the same, give them the same name"
    )
