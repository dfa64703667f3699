"""What a condarc file says of mirrors, made to say something else: one file at a time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from envdoctor.edits.condarc import CondarcText
from envdoctor.knowledge.conda_channels import address


@dataclass(frozen=True)
class Recipe:
    """What conda is to be told. Both empty: nothing, so that it asks those who make the packages.

    Attributes:
        defaults: for default_channels.
        custom: for custom_channels: name -> address without the name, which conda appends.
    """

    defaults: tuple[str, ...] = ()
    custom: Mapping[str, str] = field(default_factory=dict)


def packages_of(url: str) -> bool:
    """Whether an address is that of Anaconda's own packages, on a mirror or at their source: .../pkgs/main."""
    place = address(url)
    return place is not None and bool(place.packages)


def on_mirror(url: str) -> bool:
    """Whether an address of custom_channels or channel_alias is that of a mirror: .../cloud, or .../cloud/NAME and
    .../pkgs/NAME, which are mistakes there."""
    place = address(url)
    return place is not None and not place.official


def plain(url: str) -> str:
    """A channel on a mirror by its plain name, which custom_channels and default_channels then lead to the mirror."""
    place = address(url)
    if place is None or place.official:
        return url
    return "defaults" if place.packages else place.channel or url


def switch(text: CondarcText, recipe: Recipe, defaults_here: bool, custom_here: bool, weaker: bool) -> None:
    """Take every mirror out of a file, and put the recipe in where it belongs.

    What is no mirror by its form stays: a company's server, a local folder, a plain name.

    Args:
        defaults_here, custom_here: this is the file that is to hold default_channels, custom_channels.
        weaker: an entry of custom_channels in another file wins against one here.

    Raises:
        NotUnderstood: a key to be changed is written in a way that is not edited.
    """
    channels = [plain(item) for item in text.items("channels")]
    text.set_items("channels", list(dict.fromkeys(channels)))
    text.set_items("default_channels", _defaults(text.items("default_channels"), recipe if defaults_here else Recipe()))
    text.set_pairs("custom_channels", _custom(text.pairs("custom_channels"), recipe, custom_here, weaker))
    if on_mirror(text.scalar("channel_alias")):
        text.remove("channel_alias")


def _defaults(old: tuple[str, ...], recipe: Recipe) -> list[str]:
    first = next((number for number, item in enumerate(old) if packages_of(item)), len(old))
    before = [item for item in old[:first] if item not in recipe.defaults]
    after = [item for item in old[first:] if not packages_of(item) and item not in recipe.defaults]
    return [*before, *recipe.defaults, *after]


def _custom(old: Mapping[str, str], recipe: Recipe, here: bool, weaker: bool) -> dict[str, str]:
    made: dict[str, str] = {}
    for name, value in old.items():
        place = address(value)
        if place is None or (place.official and name not in recipe.custom):
            made[name] = value
        elif here and name in recipe.custom:
            made[name] = recipe.custom[name]
        elif weaker and not here and name in recipe.custom:
            made[name] = value  # it does not count
    if here:
        made |= {name: value for name, value in recipe.custom.items() if name not in made}
    return made
